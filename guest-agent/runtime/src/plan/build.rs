//! Spec to plan: the sections in the order of the specification.

use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxDeviceType, Process, Spec};
use proa_kernel::mount::propagation;
use proa_kernel::namespace::Namespaces;

use super::process::ProcessPlan;
use super::{
    Device, ExecPlan, Hooks, Plan, PlanError, PlanOptions, Root, SeccompPlan, mounts, namespaces,
    sysctl,
};

impl Plan {
    /// Decides everything that `spec` asks for.
    pub fn new(spec: &Spec, options: PlanOptions) -> Result<Self, PlanError> {
        let no_linux = Linux::default();
        let linux = spec.linux().as_ref().unwrap_or(&no_linux);
        let process = spec
            .process()
            .as_ref()
            .ok_or(PlanError::Missing("process"))?;
        let namespaces = namespaces::plan(linux)?;
        let own = namespaces.own_kinds();
        // Everything below mounts and changes the root, which must not be done to the host or to another container.
        if !namespaces.new_kinds().contains(Namespaces::MOUNT) {
            return Err(PlanError::Missing("new mount namespace"));
        }
        let root_propagation = root_propagation(linux)?;
        let view = mounts::View {
            bundle: &options.bundle,
            cgroup: &options.cgroup,
            cgroup_namespace: own.contains(Namespaces::CGROUP),
            label: linux
                .mount_label()
                .as_deref()
                .filter(|label| !label.is_empty()),
            root_propagation,
        };
        let mounts = mounts::plan(spec.mounts().as_deref().unwrap_or_default(), &view)?;
        let fill_dev = !mounts.iter().any(mounts::MountPlan::is_bound_dev);
        let mut process = ProcessPlan::from_spec(process, options.seccomp, options.console_size)?;
        process.make_cwd = true;
        process.personality = linux.personality().as_ref().map(super::process::persona);
        Ok(Self {
            root: root(spec, options.root, &options.bundle)?,
            id: options.id,
            bundle: options.bundle,
            annotations: annotations(spec),
            root_readonly: spec
                .root()
                .as_ref()
                .and_then(oci_spec::runtime::Root::readonly)
                .unwrap_or(false),
            root_propagation,
            no_pivot: options.no_pivot,
            mounts,
            devices: if fill_dev {
                devices(linux)?
            } else {
                Vec::new()
            },
            fill_dev,
            masked_paths: paths(linux.masked_paths().as_deref())?,
            readonly_paths: paths(linux.readonly_paths().as_deref())?,
            sysctls: sysctl::plan(linux.sysctl().as_ref(), own)?,
            hostname: spec.hostname().clone().filter(|name| !name.is_empty()),
            domainname: spec.domainname().clone().filter(|name| !name.is_empty()),
            process,
            hooks: Hooks::from_spec(spec.hooks().as_ref()),
            reaper: options.reaper,
            keep_keyring: options.keep_keyring,
            mount_label: linux
                .mount_label()
                .clone()
                .filter(|label| !label.is_empty()),
            namespaces,
        })
    }
}

impl ExecPlan {
    /// A further process in the container that `plan` started, with its own `process` section and the container's
    /// filter unless another is given.
    pub fn new(
        plan: &Plan,
        process: &Process,
        seccomp: Option<SeccompPlan>,
    ) -> Result<Self, PlanError> {
        let seccomp = seccomp.or_else(|| plan.process.seccomp.clone());
        Self::in_namespaces(plan.namespaces.own_kinds(), process, seccomp)
    }

    /// The same, knowing only which namespaces the container has of its own.
    pub fn in_namespaces(
        namespaces: Namespaces,
        process: &Process,
        seccomp: Option<SeccompPlan>,
    ) -> Result<Self, PlanError> {
        Ok(Self {
            namespaces: namespaces.bits(),
            process: ProcessPlan::from_spec(process, seccomp, None)?,
        })
    }
}

/// Which namespaces a container of this spec has of its own.
pub fn own_namespaces(spec: &Spec) -> Result<Namespaces, PlanError> {
    let linux = spec.linux().as_ref().ok_or(PlanError::Missing("linux"))?;
    Ok(namespaces::plan(linux)?.own_kinds())
}

fn root(spec: &Spec, given: Option<Root>, bundle: &Path) -> Result<Root, PlanError> {
    if let Some(root) = given {
        return Ok(root);
    }
    let root = spec.root().as_ref().ok_or(PlanError::Missing("root"))?;
    Ok(Root::Plain(bundle.join(root.path())))
}

fn annotations(spec: &Spec) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = spec
        .annotations()
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    pairs.sort();
    pairs
}

/// How mounts travel between host and container; slave unless the spec says otherwise, as in runc.
fn root_propagation(linux: &Linux) -> Result<u64, PlanError> {
    let Some(word) = linux
        .rootfs_propagation()
        .as_deref()
        .filter(|word| !word.is_empty())
    else {
        return Ok(propagation::SLAVE);
    };
    match word.strip_prefix('r').unwrap_or(word) {
        "private" => Ok(propagation::PRIVATE),
        "slave" => Ok(propagation::SLAVE),
        "shared" => Ok(propagation::SHARED),
        "unbindable" => Ok(propagation::UNBINDABLE),
        _ => Err(PlanError::Value {
            what: "rootfsPropagation",
            value: word.to_owned(),
        }),
    }
}

/// Absolute, without `.` and `..`: the way up ends at the root.
pub(super) fn clean(path: &Path) -> Result<PathBuf, PlanError> {
    if path.as_os_str().is_empty() || path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(PlanError::Path(path.to_owned()));
    }
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(cleaned)
}

fn paths(list: Option<&[String]>) -> Result<Vec<PathBuf>, PlanError> {
    list.unwrap_or_default()
        .iter()
        .map(|path| clean(Path::new(path)))
        .collect()
}

/// Name, major and minor of the nodes that every container has (runtime-spec, `config-linux.md`, default devices).
const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("tty", 5, 0),
    ("random", 1, 8),
    ("urandom", 1, 9),
];

fn devices(linux: &Linux) -> Result<Vec<Device>, PlanError> {
    let mut devices = Vec::new();
    for device in linux.devices().iter().flatten() {
        let path = clean(device.path())?;
        // The multiplexer of the container's own terminals is a link made with /dev.
        if path == Path::new("/dev/ptmx") {
            continue;
        }
        let kind = match device.typ() {
            LinuxDeviceType::C | LinuxDeviceType::U => libc::S_IFCHR,
            LinuxDeviceType::B => libc::S_IFBLK,
            LinuxDeviceType::P => libc::S_IFIFO,
            LinuxDeviceType::A => {
                return Err(PlanError::Value {
                    what: "a device's type",
                    value: "a".to_owned(),
                });
            }
        };
        let number = |value: i64| {
            u32::try_from(value).map_err(|_| PlanError::Value {
                what: "a device number",
                value: value.to_string(),
            })
        };
        let fifo = kind == libc::S_IFIFO;
        devices.push(Device {
            path,
            kind,
            major: if fifo { 0 } else { number(device.major())? },
            minor: if fifo { 0 } else { number(device.minor())? },
            mode: device.file_mode().unwrap_or(0o666) & 0o7777,
            uid: device.uid().unwrap_or(0),
            gid: device.gid().unwrap_or(0),
        });
    }
    for (name, major, minor) in DEFAULT_DEVICES {
        let path = Path::new("/dev").join(name);
        if devices.iter().all(|device: &Device| device.path != path) {
            devices.push(Device {
                path,
                kind: libc::S_IFCHR,
                major,
                minor,
                mode: 0o666,
                uid: 0,
                gid: 0,
            });
        }
    }
    Ok(devices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_path_never_climbs_out() {
        let check = |path: &str, expected: &str| {
            assert_eq!(clean(Path::new(path)).unwrap(), Path::new(expected));
        };
        check("/data", "/data");
        check("data/./x", "/data/x");
        check("/../../etc/passwd", "/etc/passwd");
        check("/a/../..", "/");
        assert!(matches!(clean(Path::new("")), Err(PlanError::Path(_))));
    }

    #[test]
    fn a_container_without_a_mount_namespace_of_its_own_is_refused() {
        let mut spec = Spec::default();
        let mut linux = spec.linux().clone().unwrap();
        linux.set_namespaces(Some(Vec::new()));
        spec.set_linux(Some(linux));
        let refused = Plan::new(&spec, PlanOptions::default());
        assert!(matches!(
            refused,
            Err(PlanError::Missing("new mount namespace"))
        ));
    }

    #[test]
    fn the_default_spec_makes_a_plan_that_survives_its_bytes() {
        let options = PlanOptions {
            id: "x".into(),
            bundle: "/bundle".into(),
            ..PlanOptions::default()
        };
        let plan = Plan::new(&Spec::default(), options).unwrap();
        assert_eq!(plan.root, Root::Plain("/bundle/rootfs".into()));
        assert_eq!(plan.devices.len(), 6);
        assert!(plan.fill_dev);
        let bytes = plan.encode().unwrap();
        assert!(bytes.len() < 4096, "{} bytes", bytes.len());
        assert_eq!(Plan::decode(&bytes).unwrap(), plan);
        assert!(matches!(
            Plan::decode(b"rubbish"),
            Err(PlanError::Decode(_))
        ));
    }
}
