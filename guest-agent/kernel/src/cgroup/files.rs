//! Reading and writing interface files, each with its name in the error.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::CgroupError;

/// Writes `value` in one system call, as interface files want it.
pub(super) fn write(directory: &Path, name: &str, value: &str) -> Result<(), CgroupError> {
    let file = directory.join(name);
    write_file(&file, value).map_err(|source| CgroupError::write(&file, value, source))
}

/// Like [`write`]; a file that does not exist is told as the limit in the user's words.
pub(super) fn write_limit(
    directory: &Path,
    name: &str,
    value: &str,
    what: &'static str,
) -> Result<(), CgroupError> {
    let file = directory.join(name);
    match write_file(&file, value) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(CgroupError::NoFile { what, file })
        }
        Err(source) => Err(CgroupError::write(&file, value, source)),
    }
}

pub(super) fn write_file(file: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(file)?
        .write_all(value.as_bytes())
}

/// The whole file as text.
pub(super) fn read(directory: &Path, name: &str) -> Result<String, CgroupError> {
    let file = directory.join(name);
    read_file(&file).map_err(|source| CgroupError::read(&file, source))
}

/// The file as text, or nothing where it cannot be read: counters that some kernels do not have.
pub(super) fn read_if_there(directory: &Path, name: &str) -> Option<String> {
    read_file(&directory.join(name)).ok()
}

/// Interface files have no size, so a buffer that fits nearly all of them saves system calls.
fn read_file(file: &Path) -> io::Result<String> {
    let mut text = String::with_capacity(4096);
    File::open(file)?.read_to_string(&mut text)?;
    Ok(text)
}

/// A file with one number.
pub(super) fn read_number(directory: &Path, name: &str) -> Option<u64> {
    read_if_there(directory, name)?.trim().parse().ok()
}

/// The process or thread numbers of `cgroup.procs` or `tasks`.
pub(super) fn read_pids(directory: &Path, name: &str) -> Result<Vec<i32>, CgroupError> {
    let file = directory.join(name);
    match read_file(&file) {
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        // The cgroup is gone, or is threaded or going: nothing in it can be listed.
        Err(error) if gone(&error) => Ok(Vec::new()),
        Err(source) => Err(CgroupError::read(&file, source)),
    }
}

/// Whether a cgroup vanished under the operation.
pub(super) fn gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

/// Directories directly beneath `directory`; none if it does not exist.
pub(super) fn children(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let is_directory =
        |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries
        .flatten()
        .filter(is_directory)
        .map(|entry| entry.path())
        .collect()
}

/// `directory` and everything beneath it, deepest last.
pub(super) fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut all = vec![directory.to_owned()];
    let mut next = 0;
    while let Some(current) = all.get(next) {
        let beneath = children(current);
        all.extend(beneath);
        next += 1;
    }
    all
}
