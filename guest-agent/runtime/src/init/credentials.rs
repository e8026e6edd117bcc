//! From root with everything to the user, rights and limits of the plan.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use proa_kernel::capability::{self, Sets};
use proa_kernel::process::{self, Scheduling};
use proa_kernel::{filter, user};
use rustix::fs::{FileType, Gid, Uid};
use rustix::thread::CpuSet;

use super::mounts::write;
use super::protocol::{Channel, During, FromInit};
use crate::plan::{Capabilities, ProcessPlan, Rlimit};
use crate::start_error::{StartError, Step};

/// Resource limits of the caller.
pub(super) fn limit(rlimits: &[Rlimit]) -> Result<(), StartError> {
    rlimits.iter().try_for_each(|limit| {
        process::set_limit(limit.resource, limit.soft, limit.hard).during(
            Step::Limit,
            format!(
                "{} to {}:{}",
                limit_name(limit.resource),
                limit.soft,
                limit.hard
            ),
        )
    })
}

/// The name users know.
pub(super) fn limit_name(resource: u32) -> String {
    const NAMES: [&str; 16] = [
        "cpu",
        "fsize",
        "data",
        "stack",
        "core",
        "rss",
        "nproc",
        "nofile",
        "memlock",
        "as",
        "locks",
        "sigpending",
        "msgqueue",
        "nice",
        "rtprio",
        "rttime",
    ];
    NAMES.get(resource as usize).map_or_else(
        || resource.to_string(),
        |name| format!("RLIMIT_{}", name.to_uppercase()),
    )
}

/// Priorities, CPUs, execution domain.
pub(super) fn schedule(plan: &ProcessPlan) -> Result<(), StartError> {
    if let Some(scheduler) = &plan.scheduler {
        let attributes = Scheduling {
            policy: scheduler.policy,
            flags: scheduler.flags,
            nice: scheduler.nice,
            priority: scheduler.priority,
            runtime: scheduler.runtime,
            deadline: scheduler.deadline,
            period: scheduler.period,
            ..Scheduling::default()
        };
        process::set_scheduling(&attributes).during(Step::Scheduling, "policy")?;
    }
    if let Some(priority) = &plan.io_priority {
        process::set_io_priority(priority.class, priority.priority)
            .during(Step::Scheduling, "I/O priority")?;
    }
    if !plan.affinity.is_empty() {
        let mut cpus = CpuSet::new();
        for cpu in (0..plan.affinity.len() * 64)
            .filter(|cpu| plan.affinity[cpu / 64] & (1 << (cpu % 64)) != 0)
        {
            cpus.set(cpu);
        }
        rustix::thread::sched_setaffinity(None, &cpus).during(Step::Scheduling, "CPU affinity")?;
    }
    if let Some(persona) = plan.personality {
        process::set_personality(persona).during(Step::Scheduling, "personality")?;
    }
    Ok(())
}

/// Labels that take effect at `execve`, written while the host's `/proc` is in reach.
pub(super) fn label(plan: &ProcessPlan) -> Result<(), StartError> {
    if let Some(profile) = &plan.apparmor {
        let written = write(
            "/proc/self/attr/apparmor/exec".as_ref(),
            &format!("exec {profile}"),
        )
        .or_else(|_| write("/proc/self/attr/exec".as_ref(), &format!("exec {profile}")));
        written.during(Step::Label, profile)?;
    }
    if let Some(label) = &plan.selinux {
        write("/proc/self/attr/exec".as_ref(), label).during(Step::Label, label)?;
    }
    Ok(())
}

/// The OOM score of a process, the caller by default.
pub(super) fn score(pid: Option<i32>, plan: &ProcessPlan) -> Result<(), StartError> {
    let Some(score) = plan.oom_score_adj else {
        return Ok(());
    };
    let path = pid.map_or("/proc/self/oom_score_adj".to_owned(), |pid| {
        format!("/proc/{pid}/oom_score_adj")
    });
    let written = match write(path.as_ref(), &score.to_string()) {
        // The default where this engine may not lower the score it runs with itself: no reason not to start.
        Err(error) if score == 0 && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        other => other,
    };
    written.during(Step::Scheduling, format!("oom_score_adj {score}"))
}

/// Standard streams belong to the user, so that it can open `/dev/stdout` again.
pub(super) fn own_stdio(plan: &ProcessPlan) {
    // Read-only file systems, ids without a mapping: nothing depends on it there.
    let _ = own(io::stdin().as_fd(), plan.uid);
    let _ = own(io::stdout().as_fd(), plan.uid);
    let _ = own(io::stderr().as_fd(), plan.uid);
}

/// Gives a stream to a user, unless it is the null device.
pub(super) fn own(fd: BorrowedFd<'_>, uid: u32) -> io::Result<()> {
    let stat = rustix::fs::fstat(fd)?;
    let null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == rustix::fs::makedev(1, 3);
    if null || stat.st_uid == uid {
        return Ok(());
    }
    Ok(rustix::fs::fchown(
        fd,
        Some(Uid::from_raw(uid)),
        Some(Gid::from_raw(stat.st_gid)),
    )?)
}

/// Drops what the plan does not give. The filter comes before where loading it still needs privileges, last otherwise
/// ([`seal`]).
pub(super) fn drop_privileges(plan: &ProcessPlan, channel: &Channel) -> Result<(), StartError> {
    if plan.no_new_privileges {
        process::set_no_new_privileges().during(Step::Capabilities, "no_new_privs")?;
    } else {
        load_filter(plan, channel)?;
    }
    if let Some(sets) = &plan.capabilities {
        capability::limit_bounding(sets.bounding).during(Step::Capabilities, "bounding")?;
    }
    let changes_user = plan.uid != 0;
    if changes_user && plan.capabilities.is_some() {
        capability::keep_across_user_change(true).during(Step::Capabilities, "keep")?;
    }
    user::become_user(plan.uid, plan.gid, &plan.groups)
        .during(Step::User, format!("{}:{}", plan.uid, plan.gid))?;
    if let Some(sets) = &plan.capabilities {
        apply(sets).during(Step::Capabilities, "")?;
        if changes_user {
            capability::keep_across_user_change(false).during(Step::Capabilities, "keep")?;
        }
    }
    Ok(())
}

/// A set asks for no more than the caller has: a container inside a container gets what there is.
fn apply(sets: &Capabilities) -> io::Result<()> {
    let available = capability::current()?.permitted;
    capability::apply(&Sets {
        bounding: sets.bounding,
        effective: sets.effective & available,
        permitted: sets.permitted & available,
        inheritable: sets.inheritable & available,
        ambient: sets.ambient & available,
    })
}

/// Loads the filter where that is left for last.
pub(super) fn seal(plan: &ProcessPlan, channel: &Channel) -> Result<(), StartError> {
    if plan.no_new_privileges {
        load_filter(plan, channel)
    } else {
        Ok(())
    }
}

fn load_filter(plan: &ProcessPlan, channel: &Channel) -> Result<(), StartError> {
    let Some(seccomp) = &plan.seccomp else {
        return Ok(());
    };
    let listener = filter::load(&seccomp.program, seccomp.flags).during(Step::Seccomp, "")?;
    match listener {
        Some(listener) => channel
            .send(&FromInit::SeccompListener, &[listener.as_fd()])
            .during(Step::Seccomp, "listener"),
        None => Ok(()),
    }
}
