//! Exit records, which outlive the monitor.

use std::fs;
use std::io;
use std::path::Path;

use proa_kernel::process::Ended;

use crate::launch::{self, Exit};

/// How a process ended, in Docker's numbers.
pub(super) fn exit(how: Ended, time: i64, oom_killed: bool) -> Exit {
    let signal = match how {
        Ended::Exited(_) => None,
        Ended::Signaled(signal) => Some(signal),
    };
    Exit {
        code: how.code(),
        signal,
        time,
        oom_killed,
    }
}

/// Records the end of the first process.
pub(super) fn write_exit(run_dir: &Path, exit: &Exit) -> io::Result<()> {
    write(&launch::exit_file(run_dir), exit)
}

/// Records the end of an exec.
pub(super) fn write_exec_exit(run_dir: &Path, id: &str, exit: &Exit) -> io::Result<()> {
    let dir = launch::exec_exits_dir(run_dir);
    let path = dir.join(id);
    match write(&path, exit) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Not its parents: a container that was removed must not come back.
            fs::create_dir(dir)?;
            write(&path, exit)
        }
        other => other,
    }
}

/// Readers see all of a record or none.
fn write(path: &Path, exit: &Exit) -> io::Result<()> {
    let mut buffer = [0; 32];
    let bytes = postcard::to_slice(exit, &mut buffer).map_err(io::Error::other)?;
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, bytes)?;
    fs::rename(&unfinished, path)
}
