//! A monitor's client.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use proa_kernel::message;
use rustix::event::PollFlags;

use super::{ExecLaunch, Hello, Message, Refusal, Reply, Request, StartError, Started};
use crate::launch::{exit_file, monitor_socket, short_monitor_socket};
use crate::monitor::message::VERSION;
use crate::wire;

/// A connection to one monitor.
///
/// Async use: `send` returns a sequence number at once; `receive` whenever the descriptor is readable; a
/// [`Received`] with that number holds the reply, events have number 0.
#[derive(Debug)]
pub struct Monitor {
    socket: OwnedFd,
    sequence: AtomicU32,
}

/// One message and what came with it.
#[derive(Debug)]
pub struct Received {
    /// The request's number, 0 for what was not asked for.
    pub sequence: u32,
    /// The message.
    pub message: Message,
    /// The descriptor for standard input, after `Launched`, `Attached` and `ExecStarted`.
    pub fd: Option<OwnedFd>,
}

/// A monitor could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens there: the monitor ended (look for the exit record) or was killed.
    #[error("no monitor listens at {}", .0.display())]
    Gone(PathBuf),
    /// It speaks another version.
    #[error("the monitor at {} speaks version {version}", path.display())]
    Version {
        /// Where.
        path: PathBuf,
        /// Which.
        version: u32,
    },
    /// A system call failed.
    #[error("connect to the monitor at {}", path.display())]
    System {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// How long a monitor may take to say hello: it never blocks, so this is only for one that is stopped.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a monitor may take from telling of the start to listening, on a machine that is very busy.
const NEWBORN: Duration = Duration::from_millis(500);

impl Monitor {
    /// Takes over a connection, which becomes non-blocking.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Monitor> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Monitor {
            socket,
            sequence: AtomicU32::new(0),
        })
    }

    /// Connects to the monitor of a container (`run_dir` is the container's folder of running state), after `serve` was
    /// started again. Blocks for one round trip.
    pub fn connect(run_dir: &Path) -> Result<(Monitor, Hello), ConnectError> {
        let path = monitor_socket(run_dir);
        let monitor = match connect(run_dir) {
            Ok(monitor) => monitor,
            Err(error) => return Err(no_connection(path, error)),
        };
        match monitor.hello() {
            Ok(hello) if hello.version == VERSION => Ok((monitor, hello)),
            Ok(hello) => Err(ConnectError::Version {
                path,
                version: hello.version,
            }),
            Err(error) => Err(no_connection(path, error)),
        }
    }

    fn hello(&self) -> io::Result<Hello> {
        let sequence = self.send(&Request::Hello { version: VERSION }, &[])?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let received = self.wait(deadline)?;
            if received.sequence != sequence {
                continue;
            }
            return match received.message {
                Message::Reply(Ok(Reply::Hello(hello))) => Ok(hello),
                Message::Reply(_) | Message::Launched(_) | Message::Event(_) => {
                    Err(io::ErrorKind::InvalidData.into())
                }
            };
        }
    }

    /// Sends a request with the descriptors it needs and returns its sequence number. `WouldBlock` when very many
    /// requests are unanswered.
    pub fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> io::Result<u32> {
        let sequence = self
            .sequence
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(1);
        wire::send(self.socket.as_fd(), sequence, request, fds)?;
        Ok(sequence)
    }

    /// Sends an exec request; `attach` is the stream socket for its output.
    pub fn send_exec(
        &self,
        launch: &ExecLaunch,
        attach: Option<BorrowedFd<'_>>,
    ) -> io::Result<u32> {
        let value = wire::write_value("exec", launch)?;
        let mut fds = vec![value.as_fd()];
        fds.extend(attach);
        self.send(&Request::Exec, &fds)
    }

    /// The next message that has arrived; `None` when there is none yet. `UnexpectedEof` when the monitor is gone.
    pub fn receive(&self) -> io::Result<Option<Received>> {
        let mut buffer = vec![0; wire::MAX_PACKET];
        let Some(packet) = wire::receive::<Message>(self.socket.as_fd(), &mut buffer)? else {
            return Ok(None);
        };
        let message = packet.body.ok_or(io::ErrorKind::InvalidData)?;
        let fd = packet.fds.into_iter().next();
        Ok(Some(Received {
            sequence: packet.sequence,
            message,
            fd,
        }))
    }

    /// Blocks until the first process runs or has failed to (`None` for the error: the monitor itself died, or the limit
    /// passed).
    pub fn wait_launched(
        &self,
        limit: Duration,
    ) -> Result<(Started, Option<OwnedFd>), Option<StartError>> {
        match self.wait(Instant::now() + limit) {
            Ok(Received {
                message: Message::Launched(launched),
                fd,
                ..
            }) => launched.map(|started| (started, fd)).map_err(Some),
            Ok(_) | Err(_) => Err(None),
        }
    }

    /// Blocks until the answer to `sequence` came; events that come before are put into `events`.
    pub fn wait_reply(
        &self,
        sequence: u32,
        events: &mut Vec<Message>,
    ) -> io::Result<(Result<Reply, Refusal>, Option<OwnedFd>)> {
        loop {
            let received = self.wait(Instant::now() + 6 * PATIENCE)?;
            match received.message {
                Message::Reply(reply) if received.sequence == sequence => {
                    return Ok((reply, received.fd));
                }
                other => events.push(other),
            }
        }
    }

    /// Blocks until any message came; `TimedOut` after the deadline.
    pub fn wait(&self, deadline: Instant) -> io::Result<Received> {
        loop {
            if let Some(received) = self.receive()? {
                return Ok(received);
            }
            super::wait_for(&self.socket, PollFlags::IN, Some(deadline))?;
        }
    }
}

fn connect(run_dir: &Path) -> io::Result<Monitor> {
    let (_dir, path) = short_monitor_socket(run_dir)?;
    let deadline = Instant::now() + NEWBORN;
    loop {
        match message::connect(&path) {
            // It tells of the start before it listens.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && !exit_file(run_dir).exists()
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            other => return other.and_then(Monitor::new),
        }
    }
}

fn no_connection(path: PathBuf, error: io::Error) -> ConnectError {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    match error.kind() {
        NotFound | ConnectionRefused | ConnectionReset | UnexpectedEof => ConnectError::Gone(path),
        _ => ConnectError::System {
            path,
            source: error,
        },
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
