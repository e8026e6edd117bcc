//! Mounts: the spec's fstab-style options sorted into what the mount API takes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::IdMaps;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPlan {
    /// The container path it is placed on.
    pub target: PathBuf,
    /// What is mounted.
    pub source: MountSource,
    /// `MOUNT_ATTR_*` bits to set on the mount itself.
    pub set: u64,
    /// `MOUNT_ATTR_*` bits to clear on the mount itself.
    pub clear: u64,
    /// The same for the mount and all below it.
    pub recursive_set: u64,
    /// The same for the mount and all below it.
    pub recursive_clear: u64,
    /// `MS_*` propagation bits to apply in this order, each with whether it is for the whole tree.
    pub propagation: Vec<(u64, bool)>,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// Something that exists on the host.
    Bind(Bind),
    /// A new file system.
    New(FileSystem),
    /// A change of what is mounted there already.
    Remount,
    /// Nothing new: the version 1 hierarchies, gathered in a tmpfs.
    Cgroup1 {
        /// One per hierarchy.
        hierarchies: Vec<super::CgroupMount>,
        /// Mounted anew as seen from the cgroup namespace, not bound.
        namespaced: bool,
    },
}

/// A bind mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Its path on the host.
    pub path: PathBuf,
    /// With the mounts below it.
    pub recursive: bool,
    /// Ids shown differently.
    pub id_maps: Option<IdMaps>,
    /// The id maps hold for the mounts below it too.
    pub id_maps_recursive: bool,
    /// The source is a path inside the container's own mounts, made a moment ago (`/dev/pts/ptmx` and such).
    pub inside: bool,
}

/// A new file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    /// `tmpfs`, `proc` and so on.
    pub fstype: String,
    /// What `/proc/mounts` shows as its device.
    pub source: String,
    /// Options of the file system.
    pub options: Vec<(String, Option<String>)>,
    /// What the image has at the target is copied into it.
    pub copy_up: bool,
}
