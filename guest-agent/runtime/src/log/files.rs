//! Log files that are rotated: `path` is written, `path.1` is the one before, and so on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::sink::FileLog;

/// Collected up to so many bytes before a write.
const BATCH: usize = 16 * 1024;

/// A log being written.
pub(crate) struct Files {
    log: FileLog,
    file: File,
    size: u64,
    /// Whole entries that are not written yet.
    collected: Vec<u8>,
    /// The first failure since the last flush.
    failure: Option<io::Error>,
}

impl Files {
    /// Opens the current file, after what is in it.
    pub(crate) fn open(log: FileLog) -> io::Result<Files> {
        let file = open(&log.path)?;
        let size = file.metadata()?.len();
        Ok(Files {
            log,
            file,
            size,
            collected: Vec::new(),
            failure: None,
        })
    }

    /// Adds an entry, which is never split between files.
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.collected.len();
        write(&mut self.collected);
        let entry = (self.collected.len() - before) as u64;
        let total = self.size + self.collected.len() as u64;
        // The entry that crosses the limit still goes into the old file, as Docker has it; the next begins a new one.
        let begins_file =
            self.log.max_size.is_some_and(|max| total - entry >= max) && total > entry;
        if begins_file {
            let entry = self.collected.split_off(before);
            let written = self.write().and_then(|()| self.rotate());
            self.note(written);
            self.collected = entry;
        } else if self.collected.len() >= BATCH {
            let written = self.write();
            self.note(written);
        }
    }

    /// Writes what is collected.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let written = self.write();
        self.note(written);
        self.failure.take().map_or(Ok(()), Err)
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failure.get_or_insert(error);
        }
    }

    /// What cannot be written is lost: the container does not stop for a full disk.
    fn write(&mut self) -> io::Result<()> {
        // Freed at once: a quiet container has no buffer.
        let collected = std::mem::take(&mut self.collected);
        if collected.is_empty() {
            return Ok(());
        }
        self.size += collected.len() as u64;
        self.file.write_all(&collected)
    }

    fn rotate(&mut self) -> io::Result<()> {
        let path = &self.log.path;
        if self.log.max_files <= 1 {
            self.file = File::create(path)?;
            self.size = 0;
            return Ok(());
        }
        let oldest = self.log.max_files - 1;
        for number in (1..oldest).rev() {
            for compressed in [false, true] {
                rename(
                    &rotated(path, number, compressed),
                    &rotated(path, number + 1, compressed),
                )?;
            }
        }
        // A name that changed between plain and compressed would stay for ever.
        for compressed in [false, true] {
            remove(&rotated(path, self.log.max_files, compressed))?;
        }
        rename(path, &rotated(path, 1, false))?;
        self.file = open(path)?;
        self.size = 0;
        Ok(())
    }
}

/// Name of the rotated file of that age.
pub(crate) fn rotated(path: &Path, number: u32, compressed: bool) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    if compressed {
        name.push(".gz");
    }
    name.into()
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            options.open(path)
        }
        other => other,
    }
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
