//! From a plan to a running first process.
//!
//! [`spawn`] is called by a single-threaded process, which becomes the parent: the monitor, or the runc-compatible
//! command line. The child carries the plan out as straight-line system calls and ends in `execve`; a step that fails
//! travels back as a [`StartError`].

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::plan::{ExecPlan, Plan};
use crate::start_error::{StartError, Step};

/// Descriptors a new process is given. All are borrowed: the caller closes its own.
#[derive(Clone, Debug, Default)]
pub struct SpawnFds<'a> {
    /// Standard input; without one, and without a terminal, the caller's is inherited.
    pub stdin: Option<BorrowedFd<'a>>,
    /// Standard output.
    pub stdout: Option<BorrowedFd<'a>>,
    /// Standard error.
    pub stderr: Option<BorrowedFd<'a>>,
    /// The version 2 cgroup's directory, to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The `tasks` files (opened for writing) of the version 1 cgroups, to enter before anything else.
    pub cgroup1_tasks: Vec<BorrowedFd<'a>>,
    /// Namespaces to join beside those the plan names by path, as `CLONE_NEW*` bit and descriptor.
    pub namespaces: Vec<(u32, BorrowedFd<'a>)>,
    /// How many descriptors from 3 on the process keeps.
    pub preserve: u32,
    /// A listening `SOCK_SEQPACKET` socket. With one, the process stops before `execve` until somebody connects, and
    /// tells that connection what came of it ([`crate::init::release`]).
    pub gate: Option<BorrowedFd<'a>>,
}

/// A process that is running, or is waiting at its gate.
#[derive(Debug)]
pub struct Spawned {
    /// Its id in the caller's PID namespace.
    pub pid: i32,
    /// Refers to it.
    pub pidfd: OwnedFd,
    /// The master side of its terminal.
    pub console_master: Option<OwnedFd>,
    /// The mount of the overlay root: while it is open the file system is not taken apart.
    pub root_mount: Option<OwnedFd>,
}

/// Starts the first process of a container. The caller has one thread and is the process's parent.
pub fn spawn(plan: &Plan, fds: &SpawnFds<'_>) -> Result<Spawned, StartError> {
    let _ = (plan, fds);
    Err(StartError {
        step: Step::Plan,
        object: String::new(),
        errno: libc::ENOSYS,
    })
}

/// Starts a further process in the container whose first process is behind `init`. The new process is the caller's
/// child. The caller has one thread.
pub fn spawn_exec(
    plan: &ExecPlan,
    init: BorrowedFd<'_>,
    fds: &SpawnFds<'_>,
) -> Result<Spawned, StartError> {
    let _ = (plan, init, fds);
    Err(StartError {
        step: Step::Plan,
        object: String::new(),
        errno: libc::ENOSYS,
    })
}
