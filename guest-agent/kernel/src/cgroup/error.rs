//! What can go wrong with a cgroup, each with the object it went wrong on.

use std::io;
use std::path::{Path, PathBuf};

use super::Controller;

/// A failed operation on a cgroup or on the hierarchy.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// Nothing of cgroups is mounted where this process can see it.
    #[error("no cgroup file system is mounted; mount cgroup2 on /sys/fs/cgroup")]
    NotMounted,
    /// A limit needs a controller that this host does not offer.
    #[error(
        "{what} cannot be limited: the cgroup controller `{controller}` is not available on this host"
    )]
    NoController {
        /// The limit in the user's words.
        what: &'static str,
        /// The controller that is missing.
        controller: Controller,
    },
    /// A limit that the kernel of this host has no file for.
    #[error("{what} is not supported by this kernel: {} does not exist", file.display())]
    NoFile {
        /// The limit in the user's words.
        what: &'static str,
        /// The interface file looked for.
        file: PathBuf,
    },
    /// A limit that cannot be right on any host.
    #[error(transparent)]
    BadLimit(#[from] super::BadLimit),
    /// Making the directory failed.
    #[error("create cgroup {}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cgroup exists and has processes in it.
    #[error("cgroup {} already exists and has processes", .0.display())]
    Busy(PathBuf),
    /// Reading an interface file failed.
    #[error("read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused a value.
    #[error("write {value:?} to {}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What was written.
        value: String,
        /// Why.
        source: io::Error,
    },
    /// More memory is in use than a new limit allows, and it cannot be reclaimed.
    #[error("limit memory to {limit} bytes: {usage} bytes are in use")]
    MemoryInUse {
        /// The new limit.
        limit: i64,
        /// What is in use.
        usage: u64,
    },
    /// The kernel refused the device program.
    #[error("attach the device program to {}", path.display())]
    DeviceProgram {
        /// The cgroup.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Processes did not stop running in time.
    #[error("freeze {}: its processes did not stop within {seconds} s", path.display())]
    FreezeTimeout {
        /// The cgroup.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// Processes outlived SIGKILL, most likely because they wait for a device or a network file system.
    #[error("kill the processes of {}: {left} of them are still there", path.display())]
    Unkillable {
        /// The cgroup.
        path: PathBuf,
        /// How many.
        left: usize,
    },
    /// Removing the directory failed.
    #[error("remove cgroup {}", path.display())]
    Delete {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl CgroupError {
    /// The kernel's error number, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Create { source, .. }
            | Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::DeviceProgram { source, .. }
            | Self::Delete { source, .. } => source.raw_os_error(),
            Self::NotMounted
            | Self::NoController { .. }
            | Self::NoFile { .. }
            | Self::BadLimit(_)
            | Self::Busy(_)
            | Self::MemoryInUse { .. }
            | Self::FreezeTimeout { .. }
            | Self::Unkillable { .. } => None,
        }
    }

    pub(super) fn read(file: &Path, source: io::Error) -> Self {
        Self::Read {
            file: file.into(),
            source,
        }
    }

    pub(super) fn write(file: &Path, value: &str, source: io::Error) -> Self {
        Self::Write {
            file: file.into(),
            value: value.into(),
            source,
        }
    }
}
