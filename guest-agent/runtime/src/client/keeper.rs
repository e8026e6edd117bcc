//! The keeper's client: has containers launched, keeps descriptors, hears of deaths.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Launch, Monitor, Streams};

/// The control socket that `serve` inherits from the keeper.
#[derive(Debug)]
pub struct Keeper {
    socket: OwnedFd,
}

/// What the keeper tells without being asked.
#[derive(Debug)]
pub enum Notice {
    /// A monitor's process ended. In good order an exit record is in the container's folder; if not, the container's
    /// processes were killed.
    MonitorEnded {
        /// The container's id.
        id: String,
    },
    /// A descriptor kept for an earlier `serve`.
    Kept {
        /// The name it was kept under.
        name: String,
        /// The descriptor.
        fd: OwnedFd,
    },
    /// Every kept descriptor was handed over.
    Ready,
    /// The keeper was asked to stop: answer what is under way, then exit. Containers go on.
    Stop,
}

impl Keeper {
    /// Takes over the control socket, which becomes non-blocking.
    pub fn new(socket: OwnedFd) -> io::Result<Keeper> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Keeper { socket })
    }

    /// Has a monitor made and the container's first process started by it. Does not wait: the first message from the
    /// returned monitor is `Message::Launched`. An end of the connection before that means that the keeper or the monitor
    /// failed.
    ///
    /// Each attach is a stream socket that gets all output from the first byte on.
    pub fn launch(
        &self,
        launch: &Launch,
        attaches: &[(Streams, BorrowedFd<'_>)],
    ) -> io::Result<Monitor> {
        let _ = (launch, attaches);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Keeps a descriptor beyond this process's end, under a name; the next `serve` gets it as [`Notice::Kept`].
    pub fn keep(&self, name: &str, fd: BorrowedFd<'_>) -> io::Result<()> {
        let _ = (name, fd);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Forgets a kept descriptor.
    pub fn release(&self, name: &str) -> io::Result<()> {
        let _ = name;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The next notice that has arrived; `None` when there is none yet.
    pub fn receive(&self) -> io::Result<Option<Notice>> {
        Ok(None)
    }
}

impl AsFd for Keeper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
