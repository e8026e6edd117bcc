//! A process's output on its way from the pipes to the log and to attached clients.
//!
//! A client that does not read fills its buffer; while it is full nothing is read from the pipes, so that the process waits
//! and no byte is lost. Nothing else of the monitor waits with it.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

use crate::launch::Streams;
use crate::log::Stream;
use crate::log::record::Recorder;

/// How much is read at once.
const CHUNK: usize = 16 * 1024;
/// Above so many undelivered bytes a client makes the process wait.
const FULL: usize = 64 * 1024;

/// The most that a source can hold whose size nobody tells.
const LARGEST: usize = 1024 * 1024;

/// The output of one process.
pub(super) struct Output {
    sources: [Option<OwnedFd>; 2],
    clients: Vec<Client>,
    /// A terminal's output goes to clients as it is.
    raw: bool,
}

/// One attached client.
struct Client {
    socket: OwnedFd,
    streams: Streams,
    undelivered: Vec<u8>,
    gone: bool,
}

/// Names what of an output is ready.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Source(Stream),
    Client(usize),
}

impl Output {
    pub(super) fn new(stdout: OwnedFd, stderr: Option<OwnedFd>, raw: bool) -> Output {
        Output {
            sources: [Some(stdout), stderr],
            clients: Vec::new(),
            raw,
        }
    }

    /// Everything from now on goes to this client too.
    pub(super) fn attach(&mut self, socket: OwnedFd, streams: Streams) {
        self.clients.push(Client {
            socket,
            streams,
            undelivered: Vec::new(),
            gone: false,
        });
    }

    /// What to wait for. `log_full`: the log takes no more for now.
    pub(super) fn interests(&self, log_full: bool) -> Vec<(Part, BorrowedFd<'_>, PollFlags)> {
        let mut watched = Vec::with_capacity(2 + self.clients.len());
        let full = log_full
            || self
                .clients
                .iter()
                .any(|client| client.undelivered.len() >= FULL);
        for (source, stream) in self.sources.iter().zip([Stream::Stdout, Stream::Stderr]) {
            if let Some(source) = source.as_ref().filter(|_| !full) {
                watched.push((Part::Source(stream), source.as_fd(), PollFlags::IN));
            }
        }
        for (index, client) in self.clients.iter().enumerate() {
            let flags = if client.undelivered.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            watched.push((Part::Client(index), client.socket.as_fd(), flags));
        }
        watched
    }

    /// Acts on what is ready.
    pub(super) fn ready(&mut self, part: Part, flags: PollFlags, recorder: &mut Recorder) {
        match part {
            Part::Source(stream) => {
                self.read(stream, recorder);
            }
            Part::Client(index) => {
                let Some(client) = self.clients.get_mut(index) else {
                    return;
                };
                client.flush();
                client.gone |= flags.intersects(PollFlags::HUP | PollFlags::ERR);
            }
        }
    }

    /// Forgets clients that are gone; to be called when no [`Part`] is in use.
    pub(super) fn tidy(&mut self) {
        self.clients.retain(|client| !client.gone);
    }

    /// Reads what is in the pipes, however slow the clients are. The process has ended, but what it left behind may
    /// go on writing: no more is read than a pipe held at the end.
    pub(super) fn drain(&mut self, recorder: &mut Recorder) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut left = self.capacity(stream);
            while left > 0 {
                match self.read(stream, recorder) {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
        }
        self.sources = [None, None];
        recorder.finish();
    }

    /// Whether everything was read and delivered.
    pub(super) fn is_done(&self) -> bool {
        self.sources.iter().all(Option::is_none) && self.clients.iter().all(Client::is_done)
    }

    /// Closes clients that got everything.
    pub(super) fn close_served(&mut self) {
        if self.sources.iter().all(Option::is_none) {
            self.clients.retain(|client| !client.is_done());
        }
    }

    /// How much a stream's pipe can hold. A terminal does not say.
    fn capacity(&self, stream: Stream) -> usize {
        let source = self.sources[stream as usize].as_ref();
        source.map_or(0, |source| {
            rustix::pipe::fcntl_getpipe_size(source).unwrap_or(LARGEST)
        })
    }

    /// Reads one chunk and passes it on; says how long it was. 0 when there is no more for now.
    fn read(&mut self, stream: Stream, recorder: &mut Recorder) -> usize {
        let index = stream as usize;
        let Some(source) = &self.sources[index] else {
            return 0;
        };
        let mut space = [MaybeUninit::<u8>::uninit(); CHUNK];
        match rustix::io::read(source, &mut space) {
            Ok((chunk, _)) if !chunk.is_empty() => {
                recorder.record(stream, chunk);
                for client in &mut self.clients {
                    client.deliver(stream, chunk, self.raw);
                }
                chunk.len()
            }
            // No read of what never blocks is interrupted.
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Ok(_) => {
                self.sources[index] = None;
                0
            }
            Err(errno) => {
                // A terminal says EIO when its other side is closed.
                if errno != Errno::IO {
                    eprintln!("proa: monitor: read a container's output: {errno}");
                }
                self.sources[index] = None;
                0
            }
        }
    }
}

impl Client {
    fn is_done(&self) -> bool {
        self.gone || self.undelivered.is_empty()
    }

    fn wants(&self, stream: Stream) -> bool {
        match stream {
            Stream::Stdout => self.streams.stdout,
            Stream::Stderr => self.streams.stderr,
        }
    }

    /// Sends at once what can be sent and keeps the rest.
    fn deliver(&mut self, stream: Stream, chunk: &[u8], raw: bool) {
        if self.gone || !self.wants(stream) {
            return;
        }
        let length = (chunk.len() as u32).to_be_bytes();
        let header = [
            stream as u8 + 1,
            0,
            0,
            0,
            length[0],
            length[1],
            length[2],
            length[3],
        ];
        let header = if raw { &[][..] } else { &header[..] };
        let sent = if self.undelivered.is_empty() {
            self.send(header, chunk)
        } else {
            0
        };
        let rest_of_header = &header[sent.min(header.len())..];
        let rest_of_chunk = &chunk[sent.saturating_sub(header.len()).min(chunk.len())..];
        self.undelivered.extend_from_slice(rest_of_header);
        self.undelivered.extend_from_slice(rest_of_chunk);
    }

    fn flush(&mut self) {
        let kept = std::mem::take(&mut self.undelivered);
        let sent = self.send(&kept, &[]);
        if sent < kept.len() {
            self.undelivered = kept;
            self.undelivered.drain(..sent);
        }
    }

    /// How many bytes the socket took.
    fn send(&mut self, first: &[u8], second: &[u8]) -> usize {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let slices = [IoSlice::new(first), IoSlice::new(second)];
        let mut control = SendAncillaryBuffer::new(&mut []);
        match rustix::net::sendmsg(&self.socket, &slices, &mut control, flags) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => {
                self.gone = true;
                0
            }
        }
    }
}
