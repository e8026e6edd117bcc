//! Plans: an OCI runtime spec turned into what the child does, step by step, before any process exists.
//!
//! [`Plan::new`] is pure: it opens nothing and asks the kernel nothing. A plan is a value of plain numbers, strings and
//! paths that travels as compact bytes ([`Plan::encode`]) and is carried out by [`crate::init::spawn`].
//!
//! Always true
//! * Every option of the spec is either in the plan or refused by [`PlanError`]; nothing is dropped silently.
//! * Container paths are absolute and without `..`; they are resolved beneath the root only when they are used.

mod build;
mod error;
mod hooks;
mod mounts;
mod namespaces;
mod options;
mod process;
mod sysctl;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use build::own_namespaces;
pub use error::PlanError;
pub use hooks::{Hook, Hooks};
pub use mounts::{BENEATH, Bind, FileSystem, Layers, MountPlan, MountSource, OPTIONAL_IDS};
pub use namespaces::{IdMap, IdMaps, Join, NamespacePlan};
pub use process::{
    Capabilities, IoPriority, ProcessPlan, Rlimit, SchedulerPlan, SeccompPlan, TerminalPlan,
};

/// What the spec does not say and the caller decides.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// The container's id, for hooks and the session keyring.
    pub id: String,
    /// The bundle's directory, for hooks and a relative root.
    pub bundle: PathBuf,
    /// The root to use instead of the spec's `root.path`.
    pub root: Option<Root>,
    /// The spec's seccomp section, compiled.
    pub seccomp: Option<SeccompPlan>,
    /// What mounts of type `cgroup` show.
    pub cgroup: CgroupView,
    /// The first process is a reaper of ours which forks the command (`docker run --init`).
    pub reaper: bool,
    /// The terminal's size where the spec has none.
    pub console_size: Option<(u16, u16)>,
    /// No session keyring of its own (`--no-new-keyring`).
    pub keep_keyring: bool,
    /// The root is moved and `chroot`ed into instead of `pivot_root` (`--no-pivot`), for a host that runs from its
    /// initial file system.
    pub no_pivot: bool,
}

/// What a container sees at a mount of type `cgroup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupView {
    /// The version 2 tree.
    #[default]
    Unified,
    /// One directory per version 1 hierarchy.
    PerController(Vec<CgroupMount>),
}

/// One version 1 hierarchy as the container is to see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupMount {
    /// Its directory below `/sys/fs/cgroup`: `memory`, `cpu,cpuacct`, `systemd`, `unified`.
    pub name: String,
    /// The options that name it to `mount`: `memory`, `cpu,cpuacct`, `none,name=systemd`; empty is version 2.
    pub controllers: String,
    /// The container's own directory in the host's tree, shown where there is no cgroup namespace.
    pub directory: PathBuf,
}

/// Where the container's root file system comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// A directory, bound with the mounts below it.
    Plain(PathBuf),
    /// An overlay of its own.
    Overlay(Overlay),
}

/// An overlay file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// The layers, top first.
    pub lowers: Vec<PathBuf>,
    /// Where changes go.
    pub upper: PathBuf,
    /// The empty directory that overlayfs works in, on the file system of `upper`.
    pub work: PathBuf,
    /// Nothing is synced when it is unmounted: for content that dies with the container.
    pub volatile: bool,
}

/// Everything that happens between `clone3` and `execve`, decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The container's id.
    pub id: String,
    /// The bundle's directory (empty where there is none).
    pub bundle: PathBuf,
    /// The spec's annotations, for hooks.
    pub annotations: Vec<(String, String)>,
    /// Namespaces to make, to join and to fill.
    pub namespaces: NamespacePlan,
    /// The root file system.
    pub root: Root,
    /// The root is read-only in the end.
    pub root_readonly: bool,
    /// How mounts travel between the host and the container: `MS_*` bits for the whole tree.
    pub root_propagation: u64,
    /// `chroot` instead of `pivot_root`.
    pub no_pivot: bool,
    /// In this order.
    pub mounts: Vec<MountPlan>,
    /// Nodes below `/dev`; empty where the spec binds a `/dev` of its own.
    pub devices: Vec<Device>,
    /// Whether `/dev` is ours to fill with the usual links and the console.
    pub fill_dev: bool,
    /// Hidden behind `/dev/null` or an empty directory.
    pub masked_paths: Vec<PathBuf>,
    /// Read-only from inside.
    pub readonly_paths: Vec<PathBuf>,
    /// Files below `/proc/sys` (already with slashes) and what is written to them.
    pub sysctls: Vec<(String, String)>,
    /// `None` leaves the namespace's.
    pub hostname: Option<String>,
    /// `None` leaves the namespace's.
    pub domainname: Option<String>,
    /// The process at the end of it.
    pub process: ProcessPlan,
    /// Programs of the spec's to run on the way.
    pub hooks: Hooks,
    /// The first process is our reaper, which forks the command.
    pub reaper: bool,
    /// No session keyring of its own.
    pub keep_keyring: bool,
    /// SELinux label of the mounts made here.
    pub mount_label: Option<String>,
}

/// A node to make below the container's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its container path.
    pub path: PathBuf,
    /// The type bits of `mknod`: `S_IFCHR`, `S_IFBLK` or `S_IFIFO`.
    pub kind: u32,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Plan {
    /// The plan as bytes, for a memfd.
    pub fn encode(&self) -> Result<Vec<u8>, PlanError> {
        postcard::to_allocvec(self).map_err(PlanError::Encode)
    }

    /// The plan that [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, PlanError> {
        postcard::from_bytes(bytes).map_err(PlanError::Decode)
    }
}

/// A further process in a running container, decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecPlan {
    /// `CLONE_NEW*` bits of the namespaces that the container has of its own.
    pub namespaces: u32,
    /// The process.
    pub process: ProcessPlan,
}

impl ExecPlan {
    /// The plan as bytes.
    pub fn encode(&self) -> Result<Vec<u8>, PlanError> {
        postcard::to_allocvec(self).map_err(PlanError::Encode)
    }

    /// The plan that [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, PlanError> {
        postcard::from_bytes(bytes).map_err(PlanError::Decode)
    }
}
