//! A monitor's client.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ExecLaunch, Hello, Message, Refusal, Reply, Request, StartError, Started};

/// A connection to one monitor.
///
/// Async use: `send` returns a sequence number at once; `receive` whenever the descriptor is readable; a
/// [`Received`] with that number holds the reply, events have number 0.
#[derive(Debug)]
pub struct Monitor {
    socket: OwnedFd,
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

impl Monitor {
    /// Connects to the monitor of a container (`run_dir` is the container's folder of running state), after `serve` was
    /// started again. Blocks for one round trip.
    pub fn connect(run_dir: &Path) -> Result<(Monitor, Hello), ConnectError> {
        Err(ConnectError::Gone(run_dir.to_path_buf()))
    }

    /// Sends a request with the descriptors it needs and returns its sequence number.
    pub fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> io::Result<u32> {
        let _ = (request, fds);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends an exec request; `attach` is the stream socket for its output.
    pub fn send_exec(
        &self,
        launch: &ExecLaunch,
        attach: Option<BorrowedFd<'_>>,
    ) -> io::Result<u32> {
        let _ = (launch, attach);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The next message that has arrived; `None` when there is none yet. `UnexpectedEof` when the monitor is gone.
    pub fn receive(&self) -> io::Result<Option<Received>> {
        Ok(None)
    }

    /// Blocks until the first process runs or has failed to (`None` for the error: the monitor itself died).
    pub fn wait_launched(
        &self,
        limit: Duration,
    ) -> Result<(Started, Option<OwnedFd>), Option<StartError>> {
        let _ = limit;
        Err(None)
    }

    /// Blocks until the answer to `sequence` came; events that come before are put into `events`.
    pub fn wait_reply(
        &self,
        sequence: u32,
        events: &mut Vec<Message>,
    ) -> io::Result<(Result<Reply, Refusal>, Option<OwnedFd>)> {
        let _ = (sequence, events);
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
