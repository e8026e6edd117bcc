//! Reads `json-file` and `local` logs back, across rotated files.
//!
//! [`Reader`] is an iterator that may go on after its end: `None` means that there is nothing more for now. To follow a log,
//! wait with [`watch`] and ask again; a rotation between two questions is noticed.

mod file;
mod tail;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::inotify;

use super::Stream;
use super::files::rotated;
use file::LogFile;

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `json-file`.
    Json,
    /// `local`.
    Local,
}

/// Which part of a log is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// Only the last so many entries, counted before anything else is left out.
    pub tail: Option<usize>,
    /// Nothing before this time, in nanoseconds since 1970.
    pub since: Option<i64>,
    /// Nothing after this time.
    pub until: Option<i64>,
    /// Standard output is wanted.
    pub stdout: bool,
    /// Standard error is wanted.
    pub stderr: bool,
}

impl Query {
    /// Everything.
    pub const ALL: Query = Query {
        tail: None,
        since: None,
        until: None,
        stdout: true,
        stderr: true,
    };

    fn wants(&self, record: &Record) -> bool {
        let stream = match record.stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        stream && self.since.is_none_or(|since| record.time >= since)
    }
}

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it was written to.
    pub stream: Stream,
    /// When, in nanoseconds since 1970.
    pub time: i64,
    /// The text with its newline; a piece of a long line has none.
    pub line: Vec<u8>,
    /// Names and values that the driver added.
    pub attributes: Vec<(String, String)>,
}

/// A log being read, oldest entry first.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    format: Format,
    query: Query,
    /// Files that are still to be read; the last one may still be written to.
    files: VecDeque<LogFile>,
    last_time: i64,
    over: bool,
}

impl Reader {
    /// Opens the log whose current file is at `path`. One that does not exist yet is empty.
    pub fn open(path: &Path, format: Format, query: Query) -> io::Result<Reader> {
        let mut files = VecDeque::new();
        for older in existing(path) {
            files.extend(LogFile::open(&older, format)?);
        }
        if let Some(count) = query.tail {
            tail::keep_last(&mut files, count)?;
        }
        Ok(Reader {
            path: path.to_owned(),
            format,
            query,
            files,
            last_time: i64::MIN,
            over: false,
        })
    }

    /// Whether an entry after `Query::until` was met: nothing more comes, however long one waits.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The next entry in the files that are open, wanted or not.
    fn advance(&mut self) -> io::Result<Option<Record>> {
        loop {
            let Some(file) = self.files.front_mut() else {
                if !self.reopen()? {
                    return Ok(None);
                }
                continue;
            };
            if let Some(record) = file.next()? {
                return Ok(Some(record));
            }
            if self.files.len() > 1 {
                self.files.pop_front();
            } else if !self.follow_rotation()? {
                return Ok(None);
            }
        }
    }

    /// Opens the log if it has come to exist.
    fn reopen(&mut self) -> io::Result<bool> {
        self.files.extend(LogFile::open(&self.path, self.format)?);
        Ok(!self.files.is_empty())
    }

    /// When the last open file is no longer the one being written: opens those that came after it.
    fn follow_rotation(&mut self) -> io::Result<bool> {
        let Some(current) = self.files.back_mut() else {
            return Ok(false);
        };
        if current.is_at(&self.path)? {
            return Ok(false);
        }
        // It may have got its last entries after we looked.
        if !current.was_finished() {
            return Ok(true);
        }
        let mut newer = VecDeque::new();
        for path in existing(&self.path).into_iter().rev() {
            let Some(file) = LogFile::open(&path, self.format)? else {
                continue;
            };
            if file.is_same(current) {
                break;
            }
            newer.push_front(file);
        }
        for file in &mut newer {
            // Compressed meanwhile, the old file is among them: what was read of it is skipped.
            file.skip_until(self.last_time);
        }
        if newer.is_empty() {
            return Ok(false);
        }
        self.files = newer;
        Ok(true)
    }
}

impl Iterator for Reader {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            let record = match self.advance() {
                Ok(Some(record)) => record,
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            };
            self.last_time = self.last_time.max(record.time);
            if self.query.until.is_some_and(|until| record.time > until) {
                self.over = true;
            } else if self.query.wants(&record) {
                return Some(Ok(record));
            }
        }
        None
    }
}

/// A descriptor that becomes readable when the log at `path` grows or is rotated. It is non-blocking; [`drain`] it, then
/// ask the reader.
pub fn watch(path: &Path) -> io::Result<OwnedFd> {
    let fd = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
    let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
    inotify::add_watch(&fd, path.parent().unwrap_or(Path::new("/")), flags)?;
    Ok(fd)
}

/// Takes what has happened off a [`watch`].
pub fn drain(watch: impl AsFd) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(watch.as_fd(), &mut buffer) {
            Ok(0) | Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Names of the log's files, oldest first, the current one last.
fn existing(path: &Path) -> Vec<PathBuf> {
    let mut names = vec![path.to_owned()];
    for number in 1.. {
        let candidates = [rotated(path, number, false), rotated(path, number, true)];
        let Some(name) = candidates.into_iter().find(|name| name.exists()) else {
            break;
        };
        names.push(name);
    }
    names.reverse();
    names
}

#[cfg(test)]
mod tests;
