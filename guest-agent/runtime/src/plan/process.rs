//! The process at the end of a plan: what it runs, as whom, with which rights.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A process, down to its capability sets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessPlan {
    /// The command and its arguments; never empty.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Where it starts.
    pub cwd: PathBuf,
    /// A missing `cwd` is made (Docker does for a container's working directory, not for an exec's).
    pub make_cwd: bool,
    /// A terminal of its own.
    pub terminal: Option<TerminalPlan>,
    /// User id inside.
    pub uid: u32,
    /// Group id inside.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// `None` leaves the sets as they are.
    pub capabilities: Option<Capabilities>,
    /// Resource limits.
    pub rlimits: Vec<Rlimit>,
    /// No further privileges by `execve`.
    pub no_new_privileges: bool,
    /// Profile to change to at `execve`.
    pub apparmor: Option<String>,
    /// Label to change to at `execve`.
    pub selinux: Option<String>,
    /// System call filter.
    pub seccomp: Option<SeccompPlan>,
    /// How willingly the kernel kills it for want of memory.
    pub oom_score_adj: Option<i32>,
    /// Scheduling class.
    pub scheduler: Option<SchedulerPlan>,
    /// I/O scheduling class.
    pub io_priority: Option<IoPriority>,
    /// Execution domain.
    pub personality: Option<u64>,
    /// Which CPUs it may run on, as masks of 64; empty leaves it.
    pub affinity: Vec<u64>,
}

/// A terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalPlan {
    /// Rows and columns, where known.
    pub size: Option<(u16, u16)>,
}

/// Capability sets as bit masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// The most that `execve` can give.
    pub bounding: u64,
    /// What is checked.
    pub effective: u64,
    /// What may become effective.
    pub permitted: u64,
    /// What `execve` keeps for files that have it inheritable.
    pub inheritable: u64,
    /// What `execve` keeps for ordinary files.
    pub ambient: u64,
}

/// A resource limit; `u64::MAX` means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// `RLIMIT_*`.
    pub resource: u32,
    /// In force.
    pub soft: u64,
    /// What `soft` can be raised to.
    pub hard: u64,
}

/// A compiled system call filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompPlan {
    /// Instructions of classic BPF, eight bytes each.
    pub program: Vec<u8>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
    /// Unix socket of the supervisor that answers `SCMP_ACT_NOTIFY`.
    pub listener: Option<PathBuf>,
    /// Words for the supervisor.
    pub listener_metadata: String,
}

/// Scheduling class and its parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerPlan {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value.
    pub nice: i32,
    /// Real-time priority.
    pub priority: u32,
    /// Nanoseconds.
    pub runtime: u64,
    /// Nanoseconds.
    pub deadline: u64,
    /// Nanoseconds.
    pub period: u64,
}

/// I/O scheduling class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoPriority {
    /// 1 real time, 2 best effort, 3 idle.
    pub class: u32,
    /// 0 (highest) to 7.
    pub priority: u32,
}
