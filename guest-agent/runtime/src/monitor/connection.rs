//! One client's connection: what it is still to be told is kept while its queue is full, up to a limit.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proa_kernel::message;
use rustix::event::PollFlags;

use super::message::{Message, Request};
use crate::wire::{self, Packet};

/// Messages that may wait for a client that does not read.
const LIMIT: usize = 256;

/// One client.
pub(super) struct Connection {
    socket: OwnedFd,
    unsent: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    closed: bool,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd) -> Connection {
        Connection {
            socket,
            unsent: VecDeque::new(),
            closed: false,
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> PollFlags {
        if self.unsent.is_empty() {
            PollFlags::IN
        } else {
            PollFlags::IN | PollFlags::OUT
        }
    }

    /// Whether everything was sent.
    pub(super) fn is_idle(&self) -> bool {
        self.closed || self.unsent.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The next request that has arrived.
    pub(super) fn receive(&mut self) -> Option<Packet<Request>> {
        if self.closed {
            return None;
        }
        let mut buffer = [0; wire::MAX_REQUEST];
        // An error: gone, or it sent more than any request has. A client that cannot be understood is none.
        wire::receive(self.socket.as_fd(), &mut buffer).unwrap_or_else(|_| {
            self.closed = true;
            None
        })
    }

    /// Sends, or keeps for later. A client that lets too much pile up is cut off; it learns what it missed when it
    /// connects again.
    pub(super) fn send(&mut self, sequence: u32, message: &Message, fd: Option<OwnedFd>) {
        if self.closed {
            return;
        }
        match wire::encode(sequence, message) {
            Ok(bytes) => self.unsent.push_back((bytes, fd)),
            Err(_) => self.closed = true,
        }
        self.flush();
        self.closed |= self.unsent.len() > LIMIT;
    }

    /// Sends what was kept, as far as the client's queue has room.
    pub(super) fn flush(&mut self) {
        while let Some((bytes, fd)) = self.unsent.front() {
            let fds: Vec<BorrowedFd<'_>> = fd.iter().map(AsFd::as_fd).collect();
            match message::try_send(&self.socket, bytes, &fds) {
                Ok(()) => drop(self.unsent.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }
}
