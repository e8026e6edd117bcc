//! The process at the end of a plan: what it runs, as whom, with which rights.

use std::path::PathBuf;

use oci_spec::runtime::{
    Capabilities as SpecCapabilities, IOPriorityClass, LinuxCapabilities, LinuxIOPriority,
    LinuxPersonality, LinuxPersonalityDomain, LinuxSchedulerFlag, LinuxSchedulerPolicy,
    PosixRlimit, PosixRlimitType, Process, Scheduler,
};
use proa_kernel::capability;
use serde::{Deserialize, Serialize};

use super::PlanError;
use super::build::clean;

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

impl ProcessPlan {
    pub(super) fn from_spec(
        process: &Process,
        seccomp: Option<SeccompPlan>,
        console_size: Option<(u16, u16)>,
    ) -> Result<Self, PlanError> {
        let args = process.args().clone().unwrap_or_default();
        if args.is_empty() {
            return Err(PlanError::Missing("process.args"));
        }
        let user = process.user();
        Ok(Self {
            args,
            env: process.env().clone().unwrap_or_default(),
            cwd: clean(process.cwd())?,
            make_cwd: false,
            terminal: process
                .terminal()
                .unwrap_or(false)
                .then(|| terminal(process, console_size)),
            uid: user.uid(),
            gid: user.gid(),
            groups: user.additional_gids().clone().unwrap_or_default(),
            umask: user.umask(),
            capabilities: process.capabilities().as_ref().map(capabilities),
            rlimits: process.rlimits().iter().flatten().map(rlimit).collect(),
            no_new_privileges: process.no_new_privileges().unwrap_or(false),
            apparmor: named(process.apparmor_profile().as_ref()),
            selinux: named(process.selinux_label().as_ref()),
            seccomp,
            oom_score_adj: process.oom_score_adj(),
            scheduler: process.scheduler().as_ref().map(scheduler),
            io_priority: process.io_priority().as_ref().map(io_priority),
            personality: None,
            affinity: affinity(process)?,
        })
    }
}

fn named(name: Option<&String>) -> Option<String> {
    name.filter(|name| !name.is_empty()).cloned()
}

fn terminal(process: &Process, size: Option<(u16, u16)>) -> TerminalPlan {
    let clamp = |value: u64| u16::try_from(value).unwrap_or(u16::MAX);
    let given = process
        .console_size()
        .map(|size| (clamp(size.height()), clamp(size.width())));
    TerminalPlan {
        size: given.filter(|size| *size != (0, 0)).or(size),
    }
}

fn capabilities(sets: &LinuxCapabilities) -> Capabilities {
    let mask = |set: &Option<SpecCapabilities>| {
        set.iter()
            .flatten()
            .filter_map(|capability| capability::number(&capability.to_string()))
            .fold(0, |mask, number| mask | 1_u64 << number)
    };
    let inheritable = mask(sets.inheritable());
    let permitted = mask(sets.permitted());
    Capabilities {
        bounding: mask(sets.bounding()),
        effective: mask(sets.effective()),
        permitted,
        inheritable,
        // The kernel refuses ambient capabilities that are not in both.
        ambient: mask(sets.ambient()) & inheritable & permitted,
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the C library's type differs between glibc and musl"
)]
fn rlimit(limit: &PosixRlimit) -> Rlimit {
    use PosixRlimitType as T;
    let resource = match limit.typ() {
        T::RlimitCpu => libc::RLIMIT_CPU,
        T::RlimitFsize => libc::RLIMIT_FSIZE,
        T::RlimitData => libc::RLIMIT_DATA,
        T::RlimitStack => libc::RLIMIT_STACK,
        T::RlimitCore => libc::RLIMIT_CORE,
        T::RlimitRss => libc::RLIMIT_RSS,
        T::RlimitNproc => libc::RLIMIT_NPROC,
        T::RlimitNofile => libc::RLIMIT_NOFILE,
        T::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        T::RlimitAs => libc::RLIMIT_AS,
        T::RlimitLocks => libc::RLIMIT_LOCKS,
        T::RlimitSigpending => libc::RLIMIT_SIGPENDING,
        T::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
        T::RlimitNice => libc::RLIMIT_NICE,
        T::RlimitRtprio => libc::RLIMIT_RTPRIO,
        T::RlimitRttime => libc::RLIMIT_RTTIME,
    };
    Rlimit {
        resource: resource as u32,
        soft: limit.soft(),
        hard: limit.hard(),
    }
}

fn scheduler(scheduler: &Scheduler) -> SchedulerPlan {
    use LinuxSchedulerPolicy as P;
    let policy = match scheduler.policy() {
        P::SchedOther => 0,
        P::SchedFifo => 1,
        P::SchedRr => 2,
        P::SchedBatch => 3,
        P::SchedIso => 4,
        P::SchedIdle => 5,
        P::SchedDeadline => 6,
    };
    SchedulerPlan {
        policy,
        flags: scheduler
            .flags()
            .iter()
            .flatten()
            .fold(0, |flags, flag| flags | scheduler_flag(*flag)),
        nice: scheduler.nice().unwrap_or(0),
        priority: scheduler
            .priority()
            .and_then(|value| u32::try_from(value).ok())
            .unwrap_or(0),
        runtime: scheduler.runtime().unwrap_or(0),
        deadline: scheduler.deadline().unwrap_or(0),
        period: scheduler.period().unwrap_or(0),
    }
}

/// `SCHED_FLAG_*` of `linux/sched.h`.
fn scheduler_flag(flag: LinuxSchedulerFlag) -> u64 {
    use LinuxSchedulerFlag as F;
    match flag {
        F::SchedResetOnFork => 0x01,
        F::SchedFlagReclaim => 0x02,
        F::SchedFlagDLOverrun => 0x04,
        F::SchedFlagKeepPolicy => 0x08,
        F::SchedFlagKeepParams => 0x10,
        F::SchedFlagUtilClampMin => 0x20,
        F::SchedFlagUtilClampMax => 0x40,
    }
}

fn io_priority(priority: &LinuxIOPriority) -> IoPriority {
    let class = match priority.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    IoPriority {
        class,
        priority: u32::try_from(priority.priority()).unwrap_or(0),
    }
}

/// `personality(2)` numbers.
pub(super) fn persona(personality: &LinuxPersonality) -> u64 {
    match personality.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    }
}

/// `0-3,7` as masks of 64 CPUs each.
fn affinity(process: &Process) -> Result<Vec<u64>, PlanError> {
    let Some(affinity) = process.exec_cpu_affinity() else {
        return Ok(Vec::new());
    };
    let list = affinity
        .cpu_affinity_final()
        .as_ref()
        .or(affinity.initial().as_ref());
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        return Ok(Vec::new());
    };
    cpu_masks(list).ok_or_else(|| PlanError::Value {
        what: "execCPUAffinity",
        value: list.clone(),
    })
}

fn cpu_masks(list: &str) -> Option<Vec<u64>> {
    const MOST: usize = 8192;
    let mut masks = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        masks.resize(masks.len().max(last / 64 + 1), 0);
        for cpu in first..=last {
            masks[cpu / 64] |= 1 << (cpu % 64);
        }
    }
    Some(masks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_become_masks() {
        assert_eq!(cpu_masks("0-3,7"), Some(vec![0b1000_1111]));
        assert_eq!(cpu_masks("64"), Some(vec![0, 1]));
        assert_eq!(cpu_masks("3-1"), None);
        assert_eq!(cpu_masks("a"), None);
    }
}
