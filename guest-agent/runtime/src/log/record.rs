//! The monitor's side of a log: takes what was read and hands entries to the driver.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::event::PollFlags;

use super::files::Files;
use super::lines::{Entry, Lines};
use super::outlet::Outlet;
use super::sink::{Driver, Endpoint, FileLog, Fluentd, Gelf, Journald, LogSink, Mode, Syslog};
use super::{Stream, clock, fluentd, gelf, journald, json, local, syslog};
use crate::start_error::{StartError, Step};

/// Bytes that wait for a server before the container does.
const WAITING: u64 = 1024 * 1024;

/// Records one process's output.
pub(crate) struct Recorder {
    lines: [Lines; 2],
    writer: Writer,
    /// The local copy of what goes elsewhere.
    cache: Option<Files>,
    /// Whether the last attempt to write failed, so that a full disk is told once and not for every line.
    failing: bool,
}

/// An open driver.
enum Writer {
    None,
    JsonFile { files: Files, attributes: Box<[u8]> },
    Local(Files),
    Remote(Box<Remote>),
}

/// A server, and how messages for it look.
struct Remote {
    outlet: Outlet,
    protocol: Protocol,
    /// The monitor, as messages name it.
    process: u32,
}

enum Protocol {
    Journald(Journald),
    Syslog(Syslog),
    Fluentd(Fluentd),
    Gelf(Gelf),
}

impl Recorder {
    /// Opens the driver.
    pub(crate) fn open(sink: LogSink) -> Result<Recorder, StartError> {
        let mode = sink.mode;
        let writer = match sink.driver {
            Driver::None => Writer::None,
            Driver::JsonFile(file) => {
                let attributes = json::attributes(&file.attributes).into();
                Writer::JsonFile {
                    files: open_files(file)?,
                    attributes,
                }
            }
            Driver::Local(file) => Writer::Local(open_files(file)?),
            Driver::Journald(to) => {
                let endpoint = Endpoint::UnixDatagram(to.socket.clone());
                remote(endpoint, mode, None, Protocol::Journald(to))?
            }
            Driver::Syslog(to) => remote(to.endpoint.clone(), mode, None, Protocol::Syslog(to))?,
            Driver::Fluentd(to) => {
                let lazily = to.lazy.then_some(to.buffer);
                remote(to.endpoint.clone(), mode, lazily, Protocol::Fluentd(to))?
            }
            Driver::Gelf(to) => remote(to.endpoint.clone(), mode, None, Protocol::Gelf(to))?,
        };
        let cache = sink.cache.map(open_files).transpose()?;
        Ok(Recorder {
            cache,
            ..Recorder::with(writer)
        })
    }

    /// Records nothing.
    pub(crate) fn none() -> Recorder {
        Recorder::with(Writer::None)
    }

    fn with(writer: Writer) -> Recorder {
        let lines = [Lines::new(Stream::Stdout), Lines::new(Stream::Stderr)];
        Recorder {
            lines,
            writer,
            cache: None,
            failing: false,
        }
    }

    /// Takes what was just read.
    pub(crate) fn record(&mut self, stream: Stream, chunk: &[u8]) {
        if matches!(self.writer, Writer::None) {
            return;
        }
        let (writer, cache) = (&mut self.writer, &mut self.cache);
        self.lines[stream as usize].feed(clock::now(), chunk, |entry| write(writer, cache, entry));
        self.flush();
    }

    /// Takes what is left: the process has ended.
    pub(crate) fn finish(&mut self) {
        let (writer, cache) = (&mut self.writer, &mut self.cache);
        for lines in &mut self.lines {
            lines.finish(clock::now(), |entry| write(writer, cache, entry));
        }
        self.flush();
    }

    /// Whether no more can be taken for now.
    pub(crate) fn is_full(&self) -> bool {
        self.remote()
            .is_some_and(|remote| remote.outlet.is_blocking())
    }

    /// Whether everything has left.
    pub(crate) fn is_done(&self) -> bool {
        self.remote().is_none_or(|remote| remote.outlet.is_empty())
    }

    /// What to wait for.
    pub(crate) fn watch(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.remote()?.outlet.watch()
    }

    /// When to call [`Recorder::advance`] at the latest.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.remote()?.outlet.wake()
    }

    /// Goes on sending.
    pub(crate) fn advance(&mut self) {
        if let Writer::Remote(remote) = &mut self.writer {
            remote.outlet.advance();
        }
    }

    fn remote(&self) -> Option<&Remote> {
        match &self.writer {
            Writer::Remote(remote) => Some(remote),
            Writer::None | Writer::JsonFile { .. } | Writer::Local(_) => None,
        }
    }

    /// Hands on what was collected.
    fn flush(&mut self) {
        let written = match &mut self.writer {
            Writer::None | Writer::Remote(_) => Ok(()),
            Writer::JsonFile { files, .. } | Writer::Local(files) => files.flush(),
        };
        let cached = self.cache.as_mut().map_or(Ok(()), Files::flush);
        match written.and(cached) {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                eprintln!("proa: monitor: write the container's log: {error}");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
impl Recorder {
    /// Lets what goes on in the background finish.
    pub(crate) fn settle(&mut self) {
        if let Writer::JsonFile { files, .. } | Writer::Local(files) = &mut self.writer {
            files.settle();
        }
    }
}

fn open_files(file: FileLog) -> Result<Files, StartError> {
    let path = file.path.display().to_string();
    Files::open(file).map_err(|error| StartError::new(Step::Monitor, path, &error))
}

/// Connects to a server; `lazily`, with so many bytes kept, if it may come later.
fn remote(
    endpoint: Endpoint,
    mode: Mode,
    lazily: Option<u64>,
    protocol: Protocol,
) -> Result<Writer, StartError> {
    let (limit, drops) = match (mode, lazily) {
        // A server that is away for long must not stop the container for as long.
        (Mode::NonBlocking(limit), _) | (Mode::Blocking, Some(limit)) => (limit, true),
        (Mode::Blocking, None) => (WAITING, false),
    };
    let name = endpoint.to_string();
    let outlet = Outlet::open(endpoint, limit, drops, lazily.is_some())
        .map_err(|error| StartError::new(Step::Monitor, name, &error))?;
    let process = std::process::id();
    Ok(Writer::Remote(Box::new(Remote {
        outlet,
        protocol,
        process,
    })))
}

fn write(writer: &mut Writer, cache: &mut Option<Files>, entry: &Entry<'_>) {
    match writer {
        Writer::None => {}
        Writer::JsonFile { files, attributes } => {
            files.push(|out| json::push(out, entry, attributes));
        }
        Writer::Local(files) => files.push(|out| local::push(out, entry)),
        Writer::Remote(remote) => remote.write(entry),
    }
    if let Some(files) = cache {
        files.push(|out| local::push(out, entry));
    }
}

impl Remote {
    fn write(&mut self, entry: &Entry<'_>) {
        let outlet = &mut self.outlet;
        match &self.protocol {
            Protocol::Journald(to) => outlet.push(journald::message(to, entry)),
            Protocol::Syslog(to) => outlet.push(syslog::message(to, entry, self.process)),
            Protocol::Fluentd(to) => outlet.push(fluentd::message(to, entry)),
            Protocol::Gelf(to) => gelf::packets(to, entry)
                .into_iter()
                .for_each(|packet| outlet.push(packet)),
        }
    }
}
