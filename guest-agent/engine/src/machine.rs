//! What specs and documents need to know of the host, looked up once; and what is compiled once.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
    sync::{Arc, Mutex},
};

use oci_spec::runtime::{Capability, LinuxResources, LinuxSeccomp, Spec};
use proa_kernel::{
    capability,
    cgroup::{Hierarchy, Limits, Version},
};
use proa_protocol::{HostConfig, models};
use proa_runtime::plan::{CgroupView, SeccompPlan};

use crate::{
    Engine, Error, Result,
    container::definition::Definition,
    engine::lock,
    error::Context,
    spec::{self, Node, Seccomp},
};

/// Facts about the host.
pub(crate) struct Host {
    /// For specs.
    pub(crate) machine: spec::Machine,
    pub(crate) cpus: usize,
    /// Compiled filters by their section.
    programs: Mutex<HashMap<u64, Arc<SeccompPlan>>>,
}

impl Host {
    pub(crate) fn look(cgroups: &Hierarchy) -> Self {
        Host {
            machine: spec::Machine {
                cgroup_v2: cgroups.version() == Version::V2,
                apparmor: Path::new("/sys/kernel/security/apparmor").is_dir(),
                capabilities: capabilities(),
                devices: nodes_beneath(Path::new("/dev")).unwrap_or_default(),
            },
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            programs: Mutex::default(),
        }
    }
}

/// What this process may give away.
fn capabilities() -> Vec<Capability> {
    let held = capability::current().map_or(0, |sets| sets.permitted);
    let names = capability::NAMES.iter().enumerate();
    let held = names.filter(|(number, _)| held & (1 << number) != 0);
    held.filter_map(|(_, name)| name.strip_prefix("CAP_").unwrap_or(name).parse().ok())
        .collect()
}

/// Every device node beneath a folder, and not what containers get of their own.
fn nodes_beneath(folder: &Path) -> io::Result<Vec<Node>> {
    const OWN: &[&str] = &["pts", "shm", "fd", "mqueue", "lxc", "lxd-containers"];
    let mut nodes = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            if !OWN.iter().any(|own| name == *own) {
                nodes.extend(nodes_beneath(&entry.path()).unwrap_or_default());
            }
        } else if name != "console"
            && let Some(node) = node(&entry.path(), &metadata)
        {
            nodes.push(node);
        }
    }
    Ok(nodes)
}

fn node(path: &Path, metadata: &fs::Metadata) -> Option<Node> {
    let kind = metadata.file_type();
    if !kind.is_block_device() && !kind.is_char_device() {
        return None;
    }
    Some(Node {
        path: path.to_owned(),
        block: kind.is_block_device(),
        major: rustix::fs::major(metadata.rdev()),
        minor: rustix::fs::minor(metadata.rdev()),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}

impl Engine {
    /// `--device`, looked up.
    pub(crate) fn devices(&self, host: &models::HostConfig) -> Result<Vec<spec::devices::Granted>> {
        let look = |path: &Path| -> io::Result<Vec<Node>> {
            let metadata = fs::metadata(path)?;
            if metadata.is_dir() {
                return nodes_beneath(path);
            }
            Ok(node(path, &metadata).into_iter().collect())
        };
        spec::devices::grant(host.devices.as_deref().unwrap_or_default(), &look)
            .map_err(|error| Error::bad(error.to_string()))
    }

    /// A spec's resources as limits of a cgroup.
    pub(crate) fn limits(&self, resources: &LinuxResources) -> Result<Limits> {
        proa_runtime::resources::limits(resources).map_err(|error| Error::bad(error.to_string()))
    }

    /// The system call filter's section of a spec.
    pub(crate) fn seccomp_section(
        &self,
        wanted: &Seccomp,
        host: &HostConfig,
    ) -> Result<Option<LinuxSeccomp>> {
        let _ = host;
        match wanted {
            Seccomp::Unconfined | Seccomp::Default => Ok(None),
            Seccomp::Profile(text) => serde_json::from_str(text)
                .map(Some)
                .context(|| "decode the seccomp profile".into()),
        }
    }

    /// The compiled filter of a spec, from the cache where it was compiled before.
    pub(crate) fn seccomp_program(&self, spec: &Spec) -> Result<Option<SeccompPlan>> {
        let Some(section) = spec
            .linux()
            .as_ref()
            .and_then(|linux| linux.seccomp().as_ref())
        else {
            return Ok(None);
        };
        let key = fingerprint(section)?;
        if let Some(program) = lock(&self.host.programs).get(&key) {
            return Ok(Some(SeccompPlan::clone(program)));
        }
        let program = proa_runtime::seccomp::compile(section)
            .map_err(|error| Error::bad(error.to_string()))?;
        lock(&self.host.programs).insert(key, Arc::new(program.clone()));
        Ok(Some(program))
    }

    /// What a container sees at a mount of type `cgroup`.
    pub(crate) fn cgroup_view(&self, definition: &Definition) -> Result<CgroupView> {
        let _ = definition;
        Ok(CgroupView::Unified)
    }
}

fn fingerprint(section: &LinuxSeccomp) -> Result<u64> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let text = serde_json::to_vec(section).context(|| "write the seccomp section".into())?;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    Ok(hasher.finish())
}
