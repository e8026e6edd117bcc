//! The way into a cgroup for a process that is about to be made.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Open descriptors through which a new process gets into a cgroup: opened by a parent that has the paths and the rights,
/// used by a child that has neither.
///
/// Give [`Entrance::into_cgroup`] to `clone3` as `CLONE_INTO_CGROUP`, then call [`Entrance::enter`] in the child before it
/// starts a thread, drops its rights or unshares its cgroup namespace. Both may be sent to another process.
#[derive(Debug, Default)]
pub struct Entrance {
    /// Version 2 directory.
    pub(super) directory: Option<OwnedFd>,
    /// Version 1 `tasks` files.
    pub(super) tasks: Vec<OwnedFd>,
}

impl Entrance {
    /// Puts an entrance together again that was sent as descriptors (see [`Entrance::into_parts`]).
    pub fn from_parts(directory: Option<OwnedFd>, tasks: Vec<OwnedFd>) -> Self {
        Self { directory, tasks }
    }

    /// The version 2 directory and the version 1 `tasks` files.
    pub fn into_parts(self) -> (Option<OwnedFd>, Vec<OwnedFd>) {
        (self.directory, self.tasks)
    }

    /// The version 2 directory for `CLONE_INTO_CGROUP`; `None` where there is no version 2 tree.
    pub fn into_cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.directory.as_ref().map(AsFd::as_fd)
    }

    /// The version 1 files.
    pub fn tasks(&self) -> &[OwnedFd] {
        &self.tasks
    }

    /// Moves the calling thread into the version 1 cgroups.
    ///
    /// Only `write` is called, so it is safe between `clone` and `execve`. A lone thread writes `0` to `tasks` for
    /// itself: the kernel takes no global lock for that, while `cgroup.procs` costs milliseconds.
    pub fn enter(&self) -> io::Result<()> {
        for file in &self.tasks {
            while let Err(error) = rustix::io::write(file, b"0") {
                if error != rustix::io::Errno::INTR {
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }
}
