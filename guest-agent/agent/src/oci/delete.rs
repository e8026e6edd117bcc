//! `delete`.

use std::time::{Duration, Instant};

use proa_kernel::process;
use proa_runtime::init::{self, HookState};

use super::arguments::{DeleteArguments, Globals};
use super::error::OciError;
use super::state::{self, CREATED, STOPPED};
use super::store::{Folder, Record};
use super::{group, start};

/// Takes a container away that has stopped, was never started, or is to be killed for it.
pub(super) fn delete(globals: &Globals, arguments: &DeleteArguments) -> Result<(), OciError> {
    let id = &arguments.id;
    let folder = match Folder::open(globals, id) {
        Err(OciError::NotFound(_)) if arguments.force => return Ok(()),
        other => other?,
    };
    let record = match folder.record(id) {
        // Making it was interrupted.
        Err(OciError::NotFound(_)) if arguments.force => return folder.remove(),
        other => other?,
    };
    let status = state::status(&record);
    if status != STOPPED {
        if status != CREATED && !arguments.force {
            return Err(OciError::Status {
                verb: "delete",
                status,
            });
        }
        end(&record)?;
    }
    take_apart(&folder, &record)
}

/// Kills the first process and waits until it is gone, whoever its parent is.
fn end(record: &Record) -> Result<(), OciError> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let cgroup = group::open(record)?;
    cgroup.kill()?;
    if let Ok(pidfd) = process::open(record.pid) {
        let _ = process::signal(&pidfd, libc::SIGKILL);
    }
    let begin = Instant::now();
    while state::start_time(record.pid) == Some(record.start_time) && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Every step runs whatever the others say; the first failure is told.
fn take_apart(folder: &Folder, record: &Record) -> Result<(), OciError> {
    // Hooks are the caller's to care about, and a bundle that is gone has none.
    let plan = start::hooks_plan(folder, record).ok();
    let cgroup = group::open(record)?;
    let killed = cgroup.kill_and_wait();
    let deleted = killed.and_then(|()| cgroup.delete());
    let removed = folder.remove();
    if let Some(plan) = plan {
        let _ = init::run_hooks(&plan.hooks.poststop, &HookState::new(&plan, STOPPED, 0));
    }
    deleted?;
    removed
}
