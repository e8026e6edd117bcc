//! From a container's configuration to its OCI runtime spec, exactly as Docker's engine writes it.
//!
//! Pure: what has to be looked up on the host (users, devices, volumes, namespaces to join) comes in as a value of
//! [`Input`], so every rule here is tested without root. Nothing here creates or changes anything.
//!
//! Start at [`build`].

mod capabilities;
pub mod devices;
mod limits;
pub mod mounts;
mod namespaces;
mod process;
pub mod request;
mod security;

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxBuilder, LinuxSeccomp, RootBuilder, Spec, SpecBuilder};
use proa_protocol::models::{ContainerConfig, HostConfig};

pub use capabilities::effective as effective_capabilities;
pub use devices::Node;
pub use limits::resources;
pub use mounts::{MountPoint, Origin};
pub(crate) use namespaces::leave_out_network_defaults;
pub use namespaces::{IdMaps, Joined, Shared};
pub use process::{User, capability_sets, environment, rlimits, with_home};
pub use security::{Seccomp, SecurityOptions, default_paths};

/// The version of the runtime specification the documents follow.
const OCI_VERSION: &str = "1.2.0";

/// Why a configuration cannot become a spec; each message names the offending value.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A capability name the kernel does not have.
    #[error("invalid capability: \"{0}\"")]
    Capability(String),
    /// A `--security-opt` of unknown form.
    #[error("invalid --security-opt: \"{0}\"")]
    SecurityOption(String),
    /// A `--device` that is not there or is no device.
    #[error("error gathering device information while adding custom device \"{path}\": {reason}")]
    Device {
        /// The path on the host.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A `--gpus`, or another request for devices, that no driver here can answer. Docker's words.
    #[error("could not select device driver {driver:?} with capabilities: {capabilities}")]
    NoDriver {
        /// The driver that was named; often none.
        driver: String,
        /// What it was to be capable of, as Go prints lists of lists.
        capabilities: String,
    },
    /// A `--device-cgroup-rule` of unknown form.
    #[error("invalid device cgroup rule format: '{0}'")]
    DeviceRule(String),
    /// A `--ulimit` of a kind that does not exist.
    #[error("invalid ulimit type: {0}")]
    Ulimit(String),
    /// A soft limit above its hard limit.
    #[error("ulimit soft limit must be less than or equal to hard limit: {name}={soft}:{hard}")]
    UlimitOrder {
        /// The kind of limit.
        name: String,
        /// What was asked for.
        soft: i64,
        /// The hard limit below it.
        hard: i64,
    },
    /// A sysctl that belongs to a namespace the container shares.
    #[error("sysctl '{name}' not allowed in host {namespace} namespace")]
    Sysctl {
        /// The setting.
        name: String,
        /// The namespace it lives in.
        namespace: &'static str,
    },
    /// A sysctl that no namespace has of its own.
    #[error("sysctl \"{0}\" is not in a separate kernel namespace")]
    NoNamespace(String),
    /// The spec's own builder refused; names the part.
    #[error("write the runtime spec: {0}")]
    Build(#[from] oci_spec::OciSpecError),
}

/// Facts about the host a spec depends on.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// cgroup version 2 with its controllers.
    pub cgroup_v2: bool,
    /// AppArmor is on.
    pub apparmor: bool,
    /// The capabilities this engine itself holds: it cannot give others away.
    pub capabilities: Vec<oci_spec::runtime::Capability>,
    /// Every device node below `/dev`, for privileged containers.
    pub devices: Vec<Node>,
}

/// The three files every container gets from the engine.
#[derive(Clone, Debug)]
pub struct Files {
    /// Mounted at `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// Mounted at `/etc/hostname`.
    pub hostname: PathBuf,
    /// Mounted at `/etc/hosts`.
    pub hosts: PathBuf,
}

/// Everything a container's spec follows from.
#[derive(Debug)]
pub struct Input<'a> {
    /// The container's full id.
    pub id: &'a str,
    /// The container's configuration, the image's already merged in.
    pub config: &'a ContainerConfig,
    /// The part of it that is about the host.
    pub host: &'a HostConfig,
    /// The command line, entrypoint first.
    pub args: &'a [String],
    /// Who runs it, already looked up in the image.
    pub user: User,
    /// Volumes, binds and tmpfs, already resolved to paths, in the order they were asked for.
    pub mounts: &'a [MountPoint],
    /// The engine's own files; `None` where a container mounts its own there.
    pub files: &'a Files,
    /// Namespaces joined instead of made.
    pub joined: &'a Joined,
    /// Where the container's cgroup is.
    pub cgroup: &'a Path,
    /// Devices of `--device`, already looked up.
    pub devices: &'a [devices::Granted],
    /// The system call filter, already chosen ([`SecurityOptions::seccomp`]).
    pub seccomp: Option<LinuxSeccomp>,
    /// Uid and gid maps where the container has a user namespace of its own.
    pub id_maps: Option<&'a namespaces::IdMaps>,
    /// What the host offers.
    pub machine: &'a Machine,
    /// The root directory's path, for the document only.
    pub root: &'a Path,
}

/// Writes the runtime spec of one container.
pub fn build(input: &Input<'_>) -> Result<Spec, SpecError> {
    let host = input.host;
    let privileged = host.privileged == Some(true);
    let security = SecurityOptions::parse(host.security_opt.as_deref().unwrap_or_default())?;
    let mut linux = LinuxBuilder::default()
        .sysctl(namespaces::sysctls(
            host,
            input.joined,
            input.id_maps.is_some(),
        )?)
        .resources(limits::with_devices(host, input.devices, privileged)?)
        .cgroups_path(input.cgroup)
        .namespaces(namespaces::list(
            host,
            input.joined,
            input.machine.cgroup_v2,
            input.id_maps.is_some(),
        ))
        .masked_paths(security::masked_paths(host, &security))
        .readonly_paths(security::readonly_paths(host, &security))
        .devices(devices::nodes(
            input.devices,
            privileged.then_some(&input.machine.devices[..]),
        ))
        .build()?;
    linux.set_seccomp(input.seccomp.clone());
    if let Some(propagation) = mounts::root_propagation(input.mounts) {
        linux.set_rootfs_propagation(Some(propagation.to_owned()));
    }
    if let Some(maps) = input.id_maps {
        linux.set_uid_mappings(Some(maps.uid.clone()));
        linux.set_gid_mappings(Some(maps.gid.clone()));
    }
    if let Some(label) = security.selinux_mount_label() {
        linux.set_mount_label(Some(label));
    }
    let root = RootBuilder::default()
        .path(input.root)
        .readonly(host.readonly_rootfs.unwrap_or(false))
        .build()?;
    let mut spec = SpecBuilder::default()
        .version(OCI_VERSION)
        .process(process::process(input, &security)?)
        .root(root)
        .mounts(mounts::list(input, privileged)?)
        .linux(linux)
        .build()?;
    if input.joined.uts == Shared::Own {
        spec.set_hostname(input.config.hostname.clone());
        spec.set_domainname(
            input
                .config
                .domainname
                .clone()
                .filter(|name| !name.is_empty()),
        );
    } else {
        spec.set_hostname(None);
    }
    if let Some(annotations) = &host.annotations {
        spec.set_annotations(Some(annotations.clone()));
    }
    Ok(spec)
}

#[cfg(test)]
mod tests;
