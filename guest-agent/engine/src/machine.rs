//! What specs and documents need to know of the host, looked up once; and what is compiled once.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use oci_spec::runtime::{Capability, LinuxResources, LinuxSeccomp};
use proa_kernel::{
    capability,
    cgroup::{Cgroup, Controller, Hierarchy, Limits, Version},
};
use proa_protocol::models;
use proa_runtime::plan::{CgroupMount, CgroupView, SeccompPlan};

use crate::{
    Engine, Error, Result,
    container::definition::Definition,
    engine::lock,
    seccomp::{KernelVersion, Profile, Subject, default_profile},
    spec::{self, Node, Seccomp},
};

/// Facts about the host.
pub(crate) struct Host {
    /// For specs.
    pub(crate) machine: spec::Machine,
    pub(crate) cpus: usize,
    /// Its host name.
    pub(crate) name: String,
    kernel: KernelVersion,
    hierarchies: Vec<HostHierarchy>,
    /// Filters that were compiled.
    programs: Mutex<HashMap<Filter, Arc<SeccompPlan>>>,
}

/// What a filter follows from.
#[derive(PartialEq, Eq, Hash)]
struct Filter {
    wanted: Seccomp,
    capabilities: Vec<Capability>,
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
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .parse()
                .unwrap_or(KernelVersion(5, 15)),
            hierarchies: hierarchies(
                cgroups,
                &fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
            ),
            name: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
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
        spec::devices::check_requests(host.device_requests.as_deref().unwrap_or_default())
            .map_err(|error| Error::internal(error.to_string()))?;
        spec::devices::grant(host.devices.as_deref().unwrap_or_default(), &look)
            .map_err(|error| Error::internal(error.to_string()))
    }

    /// A spec's resources as limits of a cgroup.
    pub(crate) fn limits(&self, resources: &LinuxResources) -> Result<Limits> {
        proa_runtime::resources::limits(resources).map_err(|error| Error::bad(error.to_string()))
    }

    /// A container's system call filter, from the cache where one like it was compiled before.
    pub(crate) fn filter(&self, definition: &Definition) -> Result<Option<SeccompPlan>> {
        let host = &definition.host;
        let options = host.security_opt.as_deref().unwrap_or_default();
        let options =
            spec::SecurityOptions::parse(options).map_err(|error| Error::bad(error.to_string()))?;
        let held = spec::effective_capabilities(
            host.cap_add.as_deref().unwrap_or_default(),
            host.cap_drop.as_deref().unwrap_or_default(),
            host.privileged,
            &self.host.machine.capabilities,
        )
        .map_err(|error| Error::bad(error.to_string()))?;
        let wanted = options.seccomp(host.privileged);
        if wanted == Seccomp::Unconfined {
            return Ok(None);
        }
        let key = Filter {
            wanted,
            capabilities: held,
        };
        if let Some(program) = lock(&self.host.programs).get(&key) {
            return Ok(Some(SeccompPlan::clone(program)));
        }
        let program = proa_runtime::seccomp::compile(&self.section(&key)?)
            .map_err(|error| Error::bad(error.to_string()))?;
        lock(&self.host.programs).insert(key, Arc::new(program.clone()));
        Ok(Some(program))
    }

    fn section(&self, filter: &Filter) -> Result<LinuxSeccomp> {
        let subject = Subject {
            capabilities: &filter.capabilities,
            kernel: self.host.kernel,
            architecture: if cfg!(target_arch = "aarch64") {
                "arm64"
            } else {
                "amd64"
            },
        };
        match &filter.wanted {
            Seccomp::Profile(text) => {
                let profile =
                    Profile::parse(text).map_err(|error| Error::bad(error.to_string()))?;
                Ok(profile.resolve(&subject))
            }
            Seccomp::Default | Seccomp::Unconfined => Ok(default_profile(&subject)),
        }
    }

    /// What a container sees at a mount of type `cgroup`.
    pub(crate) fn cgroup_view(&self, cgroup: &Cgroup) -> CgroupView {
        if self.host.machine.cgroup_v2 {
            return CgroupView::Unified;
        }
        let path = cgroup.path().as_str();
        let seen = self.host.hierarchies.iter().map(|hierarchy| CgroupMount {
            name: hierarchy.name.clone(),
            controllers: hierarchy.controllers.clone(),
            directory: hierarchy.base.join(path),
        });
        CgroupView::PerController(seen.filter(|mount| mount.directory.is_dir()).collect())
    }
}

/// One hierarchy of version 1 (or the version 2 tree beside them), and where in it this engine works.
struct HostHierarchy {
    name: String,
    controllers: String,
    base: PathBuf,
}

/// The hierarchies mounted below `/sys/fs/cgroup`, from the kernel's list of mounts.
fn hierarchies(cgroups: &Hierarchy, mounts: &str) -> Vec<HostHierarchy> {
    let one = |line: &str| -> Option<HostHierarchy> {
        let (mount, super_block) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let name = point.strip_prefix("/sys/fs/cgroup/")?.to_owned();
        let mut fields = super_block.split(' ');
        let kind = fields.next()?;
        let words = fields
            .nth(1)?
            .split(',')
            .filter(|word| !matches!(*word, "rw" | "ro" | "xattr"));
        let words: Vec<&str> = words
            .filter(|word| !word.starts_with("release_agent") && *word != "clone_children")
            .collect();
        match kind {
            "cgroup2" => Some(HostHierarchy {
                name,
                controllers: String::new(),
                base: cgroups.unified()?.to_owned(),
            }),
            "cgroup" if words.iter().any(|word| word.starts_with("name=")) => Some(HostHierarchy {
                name,
                controllers: format!("none,{}", words.join(",")),
                base: PathBuf::from(point),
            }),
            "cgroup" => {
                let base = words.iter().find_map(|word| {
                    let controller = Controller::ALL
                        .into_iter()
                        .find(|controller| controller.name() == *word)?;
                    cgroups.base(controller)
                });
                Some(HostHierarchy {
                    name,
                    controllers: words.join(","),
                    base: base.map_or_else(|| PathBuf::from(point), Path::to_owned),
                })
            }
            _ => None,
        }
    };
    mounts.lines().filter_map(one).collect()
}
