//! A monitor forked ahead of its container, so that a start does not wait for it.
//!
//! It has nothing of the keeper's but one end of a socket pair, and waits there for its seed. It ends when the keeper does.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proa_kernel::{message, process};
use rustix::event::{PollFd, PollFlags};

use super::Seed;
use super::message::Use;
use crate::wire;

/// The keeper's side of one.
pub(super) struct Spare {
    pub(super) pid: i32,
    socket: OwnedFd,
}

/// Which side of the fork this process is on.
pub(super) enum Forked {
    Keeper(Spare),
    /// The new process: to call [`wait`] once it has let go of everything else.
    Spare(OwnedFd),
}

impl Spare {
    pub(super) fn fork() -> io::Result<Forked> {
        let (ours, theirs) = message::pair()?;
        Ok(match process::fork()? {
            Some(pid) => Forked::Keeper(Spare { pid, socket: ours }),
            None => Forked::Spare(theirs),
        })
    }

    /// Makes it a container's monitor.
    pub(super) fn plant(&self, seed: &Seed) -> io::Result<()> {
        let (uses, others): (Vec<Use>, Vec<BorrowedFd<'_>>) = seed
            .others
            .iter()
            .map(|(purpose, fd)| (*purpose, fd.as_fd()))
            .unzip();
        let fds = [&[seed.launch.as_fd(), seed.connection.as_fd()][..], &others].concat();
        wire::send(self.socket.as_fd(), 0, &uses, &fds)
    }
}

/// Waits for a seed; `None`: the keeper is gone.
pub(super) fn wait(socket: OwnedFd) -> io::Result<Option<Seed>> {
    let mut buffer = [0; wire::MAX_REQUEST];
    loop {
        let mut polled = [PollFd::new(&socket, PollFlags::IN)];
        match rustix::event::poll(&mut polled, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        match wire::receive::<Vec<Use>>(socket.as_fd(), &mut buffer) {
            Ok(Some(packet)) => return seed(packet).map(Some),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

fn seed(packet: wire::Packet<Vec<Use>>) -> io::Result<Seed> {
    let mut fds = packet.fds.into_iter();
    match (packet.body, fds.next(), fds.next()) {
        (Some(uses), Some(launch), Some(connection)) => Ok(Seed {
            launch,
            connection,
            others: uses.into_iter().zip(fds).collect(),
        }),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
