//! What this program is to itself: the machine's supervisor and its devices. Not for people, and in no help.

use std::ffi::OsString;
use std::io::IsTerminal;

use proa_host::machine::{Folders, supervisor};

use crate::failure::Failure;

/// Becomes what was asked for, if it is one of these; the exit code.
pub(crate) fn run(arguments: &[OsString]) -> Option<i32> {
    let words: Vec<_> = arguments.iter().skip(1).map(OsString::as_os_str).collect();
    let ended = match words.as_slice() {
        [machine, supervise] if *machine == "machine" && *supervise == "supervise" => {
            supervise_now()
        }
        _ => return None,
    };
    Some(match ended {
        Ok(()) => 0,
        Err(failure) => {
            failure.report();
            failure.code()
        }
    })
}

fn supervise_now() -> Result<(), Failure> {
    supervisor::log(std::io::stderr().is_terminal());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| Failure::io("start the asynchronous runtime", source))?;
    let ended = runtime.block_on(supervisor::run(Folders::here()?));
    runtime.shutdown_background();
    Ok(ended?)
}
