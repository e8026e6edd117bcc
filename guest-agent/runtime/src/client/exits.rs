//! Exit records: what ended while nobody listened.

use std::io;
use std::path::Path;

use super::Exit;

/// How the first process ended, if it has.
pub fn exit(run_dir: &Path) -> io::Result<Option<Exit>> {
    let _ = run_dir;
    Ok(None)
}

/// The execs that ended, by id. Each is recorded until [`forget_exec`].
pub fn exec_exits(run_dir: &Path) -> io::Result<Vec<(String, Exit)>> {
    let _ = run_dir;
    Ok(Vec::new())
}

/// Removes an exec's record; to be called once its end was noted.
pub fn forget_exec(run_dir: &Path, id: &str) -> io::Result<()> {
    let _ = (run_dir, id);
    Ok(())
}
