//! Which namespaces a container gets of its own, which it joins, and the sysctls that go with them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    LinuxIdMapping, LinuxIdMappingBuilder, LinuxNamespace, LinuxNamespaceBuilder,
    LinuxNamespaceType, Spec,
};
use proa_protocol::models::{HostConfig, HostConfigCgroupnsModeEnum};

use super::SpecError;
use crate::user_ids::IdRange;

/// Where one namespace comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shared {
    /// Made for this container.
    #[default]
    Own,
    /// The host's.
    Host,
    /// Another container's, by its path under `/proc`.
    Path(PathBuf),
}

/// The namespaces a container shares with the host or with another container.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// `--network`.
    pub network: Shared,
    /// `--ipc`.
    pub ipc: Shared,
    /// The other container's `/dev/shm`, where `ipc` is one's.
    pub shm: Option<PathBuf>,
    /// `--pid`.
    pub pid: Shared,
    /// `--uts`.
    pub uts: Shared,
}

/// Uid and gid maps of a user namespace.
#[derive(Clone, Debug, Default)]
pub struct IdMaps {
    /// Users.
    pub uid: Vec<LinuxIdMapping>,
    /// Groups.
    pub gid: Vec<LinuxIdMapping>,
}

impl IdMaps {
    /// A whole range of the host's, for users and groups from 0 on.
    pub(crate) fn of(range: IdRange) -> Result<Self, SpecError> {
        let map = LinuxIdMappingBuilder::default()
            .container_id(0_u32)
            .host_id(range.first)
            .size(range.size)
            .build()?;
        Ok(Self {
            uid: vec![map],
            gid: vec![map],
        })
    }
}

/// The spec's namespace list. A type that is not in it is the host's.
pub(super) fn list(
    host: &HostConfig,
    joined: &Joined,
    cgroup_v2: bool,
    user: bool,
) -> Vec<LinuxNamespace> {
    let mut list = vec![own(LinuxNamespaceType::Mount)];
    let shared = [
        (LinuxNamespaceType::Network, &joined.network),
        (LinuxNamespaceType::Uts, &joined.uts),
        (LinuxNamespaceType::Pid, &joined.pid),
        (LinuxNamespaceType::Ipc, &joined.ipc),
    ];
    for (kind, from) in shared {
        match from {
            Shared::Own => list.push(own(kind)),
            Shared::Host => {}
            Shared::Path(path) => list.push(at(kind, path)),
        }
    }
    if private_cgroup(host, cgroup_v2) {
        list.push(own(LinuxNamespaceType::Cgroup));
    }
    if user {
        list.push(own(LinuxNamespaceType::User));
    }
    list
}

/// Docker's default: private where cgroups are version 2, the host's on version 1 and for privileged containers there.
fn private_cgroup(host: &HostConfig, cgroup_v2: bool) -> bool {
    match host.cgroupns_mode {
        Some(HostConfigCgroupnsModeEnum::PRIVATE) => true,
        Some(HostConfigCgroupnsModeEnum::HOST) => false,
        Some(HostConfigCgroupnsModeEnum::EMPTY) | None => cgroup_v2,
    }
}

fn own(kind: LinuxNamespaceType) -> LinuxNamespace {
    let mut namespace = LinuxNamespace::default();
    namespace.set_typ(kind);
    namespace
}

fn at(kind: LinuxNamespaceType, path: &Path) -> LinuxNamespace {
    LinuxNamespaceBuilder::default()
        .typ(kind)
        .path(path)
        .build()
        .unwrap_or_else(|_| own(kind))
}

/// Let an unprivileged process bind low ports and ping, as in Docker's containers.
const NETWORK_DEFAULTS: [(&str, &str); 2] = [
    ("net.ipv4.ip_unprivileged_port_start", "0"),
    ("net.ipv4.ping_group_range", "0 2147483647"),
];

/// For a network namespace that was made ahead, where the defaults are set already.
pub(crate) fn leave_out_network_defaults(spec: &mut Spec) {
    let sysctls = spec
        .linux_mut()
        .as_mut()
        .and_then(|linux| linux.sysctl_mut().as_mut());
    if let Some(sysctls) = sysctls {
        sysctls.retain(|name, value| !NETWORK_DEFAULTS.contains(&(name, value)));
    }
}

/// The sysctls to set: two that let an unprivileged process bind low ports and ping, then the user's.
pub(super) fn sysctls(
    host: &HostConfig,
    joined: &Joined,
    user: bool,
) -> Result<HashMap<String, String>, SpecError> {
    let mut sysctls = HashMap::new();
    if joined.network == Shared::Own {
        let [ports, pings] = NETWORK_DEFAULTS;
        sysctls.insert(ports.0.to_owned(), ports.1.to_owned());
        // In a user namespace the range must not hold ids it has no mapping for.
        if !user {
            sysctls.insert(pings.0.to_owned(), pings.1.to_owned());
        }
    }
    for (name, value) in host.sysctls.iter().flatten() {
        refuse_shared(name, joined)?;
        sysctls.insert(name.clone(), value.clone());
    }
    Ok(sysctls)
}

/// A setting of a namespace that the container shares would change it for the others too.
fn refuse_shared(name: &str, joined: &Joined) -> Result<(), SpecError> {
    let refuse = |namespace| {
        Err(SpecError::Sysctl {
            name: name.to_owned(),
            namespace,
        })
    };
    let ipc = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let uts = ["kernel.hostname", "kernel.domainname"];
    if name.starts_with("net.") {
        if joined.network == Shared::Host {
            refuse("network")
        } else {
            Ok(())
        }
    } else if ipc.contains(&name) || name.starts_with("fs.mqueue.") {
        if joined.ipc == Shared::Host {
            refuse("ipc")
        } else {
            Ok(())
        }
    } else if uts.contains(&name) {
        if joined.uts == Shared::Host {
            refuse("uts")
        } else {
            Ok(())
        }
    } else {
        Err(SpecError::NoNamespace(name.to_owned()))
    }
}
