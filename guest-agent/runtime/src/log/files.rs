//! Log files that are rotated: `path` is written, `path.1` is the one before, and so on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use proa_kernel::process;

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
    /// The child that compresses the newest rotated file.
    compressing: Option<OwnedFd>,
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
            compressing: None,
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
        self.stop_compressing();
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
        let newest = rotated(path, 1, false);
        rename(path, &newest)?;
        self.file = open(path)?;
        self.size = 0;
        if self.log.compress {
            self.compressing = compress(&newest)?;
        }
        Ok(())
    }

    /// The files are about to change their names. One that is not compressed by now stays as it is.
    fn stop_compressing(&mut self) {
        if let Some(child) = self.compressing.take() {
            let _ = process::signal(&child, libc::SIGKILL);
            let _ = process::wait(&child);
        }
    }

    /// Lets the compressing child finish.
    #[cfg(test)]
    pub(crate) fn settle(&mut self) {
        if let Some(child) = self.compressing.take() {
            process::wait(&child).unwrap();
        }
    }
}

/// Compresses a file in a process of its own, which nobody waits for: it takes longer than a container may be kept
/// waiting, and its memory goes with it. The monitor reaps it like any child.
fn compress(path: &Path) -> io::Result<Option<OwnedFd>> {
    match process::fork()? {
        // Gone already: nothing to stop either.
        Some(pid) => Ok(process::open(pid).ok()),
        None => process::exit_now(i32::from(write_compressed(path).is_err())),
    }
}

/// A crash in between leaves the plain file.
fn write_compressed(path: &Path) -> io::Result<()> {
    let mut target = path.as_os_str().to_owned();
    target.push(".gz");
    let mut unfinished = target.clone();
    unfinished.push(".new");
    let output = File::create(&unfinished)?;
    let mut encoder = GzEncoder::new(BufWriter::new(output), Compression::fast());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.into_inner()?;
    fs::rename(&unfinished, &target)?;
    fs::remove_file(path)
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
