//! What a new process and its parent say to each other, in this order, one message per datagram.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proa_kernel::message;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::start_error::{StartError, Step};

/// What the child tells. The end of the conversation without `Failed` means that `execve` has happened.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromInit {
    /// 0. Only from the helper that joins namespaces: the child's id; its pidfd comes along.
    Cloned { pid: i32 },
    /// 1. Only with hooks: everything is mounted, the root not changed yet; answered by `HooksDone`.
    Mounted,
    /// 2. Only with a terminal: the master side comes along.
    Console,
    /// 3. Only with a gate: what is left waits for somebody to connect to it.
    Ready,
    /// The listener of a system call filter comes along.
    SeccompListener,
    /// Any step can end here, and nothing follows it.
    Failed(StartError),
}

/// What the parent answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToInit {
    /// The maps of the new user namespace are written; comes first, without having been asked for.
    Mapped,
    /// The hooks have run.
    HooksDone,
}

/// One end of the conversation.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

/// The longest message: an error with a path.
const LONGEST: usize = 16 * 1024;

impl Channel {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    pub(super) fn pair() -> Result<(Self, Self), StartError> {
        let (ours, theirs) = message::pair().map_err(broken)?;
        Ok((Self(ours), Self(theirs)))
    }

    pub(super) fn send<T: Serialize>(&self, value: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = postcard::to_allocvec(value).map_err(io::Error::other)?;
        message::send(&self.0, &bytes, fds)
    }

    /// The next message; `None` at the end of the conversation.
    pub(super) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut buffer = [0; LONGEST];
        let received = match message::receive(&self.0, &mut buffer) {
            // The peer was killed before it had read everything.
            Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => return Ok(None),
            other => other?,
        };
        if received.length == 0 {
            return Ok(None);
        }
        let value = postcard::from_bytes(&buffer[..received.length]).map_err(io::Error::other)?;
        Ok(Some((value, received.fds)))
    }

    /// Gives the socket away.
    pub(super) fn into_socket(self) -> OwnedFd {
        self.0
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The conversation broke off.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err calls"
)]
pub(super) fn broken(error: io::Error) -> StartError {
    StartError::new(Step::Handshake, "", &error)
}

/// Attaches a step and an object to what a system call returns.
pub(super) trait During<T> {
    fn during(self, step: Step, object: impl Into<String>) -> Result<T, StartError>;
    /// The same for objects whose name costs something to write down.
    fn during_on(self, step: Step, object: &std::path::Path) -> Result<T, StartError>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, step: Step, object: impl Into<String>) -> Result<T, StartError> {
        self.map_err(|error| StartError::new(step, object, &error.into()))
    }

    fn during_on(self, step: Step, object: &std::path::Path) -> Result<T, StartError> {
        self.map_err(|error| StartError::new(step, object.to_string_lossy(), &error.into()))
    }
}
