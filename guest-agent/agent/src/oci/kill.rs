//! `kill`.

use proa_kernel::process;

use super::arguments::{Globals, KillArguments};
use super::error::OciError;
use super::state::{self, STOPPED};
use super::store::Folder;
use super::{group, signals};

/// Sends a signal to the first process, or to all.
pub(super) fn kill(globals: &Globals, arguments: &KillArguments) -> Result<(), OciError> {
    let record = Folder::open(globals, &arguments.id)?.record(&arguments.id)?;
    let signal = signals::parse(&arguments.signal)
        .ok_or_else(|| OciError::Signal(arguments.signal.clone()))?;
    if arguments.all {
        let pids = group::open(&record)?.pids()?;
        for pid in pids {
            // One that has just ended needs no signal.
            let _ = process::signal_pid(pid, signal);
        }
        return Ok(());
    }
    if state::status(&record) == STOPPED {
        return Err(OciError::Status {
            verb: "kill",
            status: STOPPED,
        });
    }
    process::open(record.pid)
        .and_then(|pidfd| process::signal(pidfd, signal))
        .map_err(OciError::io("send the signal"))
}
