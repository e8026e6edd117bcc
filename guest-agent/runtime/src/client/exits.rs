//! Exit records: what ended while nobody listened.

use std::fs;
use std::io;
use std::path::Path;

use crate::launch::{self, Exit};

/// How the first process ended, if it has.
pub fn exit(run_dir: &Path) -> io::Result<Option<Exit>> {
    read(&launch::exit_file(run_dir))
}

/// The execs that ended, by id. Each is recorded until [`forget_exec`].
pub fn exec_exits(run_dir: &Path) -> io::Result<Vec<(String, Exit)>> {
    let entries = match fs::read_dir(launch::exec_exits_dir(run_dir)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut exits = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(id) = entry.file_name().into_string() else {
            continue;
        };
        // A name with a dot is a record still being written.
        if id.contains('.') {
            continue;
        }
        if let Some(exit) = read(&entry.path())? {
            exits.push((id, exit));
        }
    }
    Ok(exits)
}

/// Removes an exec's record; to be called once its end was noted.
pub fn forget_exec(run_dir: &Path, id: &str) -> io::Result<()> {
    match fs::remove_file(launch::exec_exits_dir(run_dir).join(id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> io::Result<Option<Exit>> {
    match fs::read(path) {
        Ok(bytes) => Ok(postcard::from_bytes(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
