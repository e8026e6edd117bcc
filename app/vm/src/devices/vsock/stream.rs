//! One stream between a unix socket of the host and a port of the guest.
//!
//! ```text
//!   Greeting ──CONNECT PORT──▶ Asking ──response──▶ Open ──▶ Over
//!      │ hung up                 │ refused, hung up            (what the guest has sent is still delivered)
//!      └────────────▶ Over ◀─────┘
//! ```

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use virtio_vsock::packet::VsockPacket;
use vm_memory::{ReadVolatile as _, VolatileMemoryError, WriteVolatile as _};

use super::credit::Credit;
use super::ring::{Filled, Packet};
use super::{BUFFER, GUEST_CID, HOST_CID};

/// Operations (virtio 1.2, section 5.10.6).
pub(super) mod op {
    pub(in super::super) const REQUEST: u16 = 1;
    pub(in super::super) const RESPONSE: u16 = 2;
    pub(in super::super) const RST: u16 = 3;
    pub(in super::super) const SHUTDOWN: u16 = 4;
    pub(in super::super) const RW: u16 = 5;
    pub(in super::super) const CREDIT_UPDATE: u16 = 6;
    pub(in super::super) const CREDIT_REQUEST: u16 = 7;
}

/// What a shutdown shuts (section 5.10.6.5): its sender receives, or sends, no more.
const DEAF: u32 = 1;
const MUTE: u32 = 2;

/// Longer than any greeting.
const GREETING: usize = 32;

#[derive(Debug)]
enum Step {
    Greeting(Vec<u8>),
    Asking,
    Open,
    /// Nothing more is carried to the guest; what came from it may still be on its way.
    Over,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    socket: UnixStream,
    host_port: u32,
    guest_port: u32,
    step: Step,
    credit: Credit,
    /// Packets without payload that are to be sent: operation and flags.
    orders: VecDeque<(u16, u32)>,
    /// From the guest, for a program that does not read as fast.
    backlog: VecDeque<u8>,
    readable: bool,
    host_mute: bool,
    guest_mute: bool,
    guest_deaf: bool,
    /// Whether the guest knows of this stream, and has to be told of its end.
    known: bool,
    /// Whether it stands in the queue of those who want to send.
    pub(super) queued: bool,
}

impl Stream {
    pub(super) fn new(socket: UnixStream, host_port: u32) -> Stream {
        Stream {
            socket,
            host_port,
            guest_port: 0,
            step: Step::Greeting(Vec::new()),
            credit: Credit::default(),
            orders: VecDeque::new(),
            backlog: VecDeque::new(),
            readable: true,
            host_mute: false,
            guest_mute: false,
            guest_deaf: false,
            known: false,
            queued: false,
        }
    }

    /// Whether it can be forgotten.
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.step, Step::Over)
            && self.orders.is_empty()
            && self.backlog.is_empty()
            && !self.known
    }

    /// Whether it has something for the guest.
    pub(super) fn wants(&self) -> bool {
        let carries = matches!(self.step, Step::Open) && self.readable && !self.host_mute;
        !self.orders.is_empty() || (carries && !self.guest_deaf && self.credit.room() > 0)
    }

    /// The socket has something to read, or room, or was closed.
    pub(super) fn ready(&mut self, readable: bool, writable: bool, closed: bool) {
        self.readable |= readable || closed;
        if writable || closed {
            self.flush();
        }
        match &self.step {
            Step::Greeting(_) => self.greet(),
            Step::Asking if closed => self.reset(),
            Step::Open if closed && self.guest_deaf => self.reset(),
            Step::Asking | Step::Open | Step::Over => {}
        }
    }

    /// Reads the greeting byte for byte: what follows it is the guest's.
    fn greet(&mut self) {
        let Step::Greeting(said) = &mut self.step else {
            return;
        };
        let mut byte = [0];
        while said.last() != Some(&b'\n') && said.len() < GREETING {
            match self.socket.read(&mut byte) {
                Ok(0) => break,
                Ok(_) => said.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        match greeted(said) {
            Some(port) => {
                self.guest_port = port;
                self.step = Step::Asking;
                self.known = true;
                self.orders.push_back((op::REQUEST, 0));
            }
            None => self.end(),
        }
    }

    /// Puts the next packet for the guest into `packet`.
    pub(super) fn fill(&mut self, packet: &mut Packet<'_>) -> Filled {
        if let Some((operation, flags)) = self.orders.pop_front() {
            if operation == op::RST {
                self.known = false;
            }
            self.head(packet, operation, flags, 0);
            return Filled::With(0);
        }
        match self.read_into(packet) {
            Ok(0) => {
                self.host_mute = true;
                let deaf = self.is_hung_up();
                self.head(
                    packet,
                    op::SHUTDOWN,
                    if deaf { MUTE | DEAF } else { MUTE },
                    0,
                );
                Filled::With(0)
            }
            Ok(bytes) => {
                self.credit.sent(bytes);
                self.head(packet, op::RW, 0, bytes);
                Filled::With(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Filled::Nothing
            }
            Err(_) => {
                self.reset();
                Filled::Nothing
            }
        }
    }

    fn read_into(&mut self, packet: &Packet<'_>) -> io::Result<u32> {
        let broken = || io::Error::from(io::ErrorKind::InvalidInput);
        let whole = packet.data_slice().ok_or_else(broken)?;
        let length = whole.len().min(self.credit.room() as usize);
        let mut part = whole.subslice(0, length).map_err(|_| broken())?;
        match self.socket.read_volatile(&mut part) {
            Ok(bytes) => Ok(bytes as u32),
            Err(VolatileMemoryError::IOError(error)) => Err(error),
            Err(_) => Err(broken()),
        }
    }

    fn head(&mut self, packet: &mut Packet<'_>, operation: u16, flags: u32, length: u32) {
        let (buffer, taken) = self.credit.tell();
        head(packet, (self.host_port, self.guest_port), operation, flags);
        packet
            .set_len(length)
            .set_buf_alloc(buffer)
            .set_fwd_cnt(taken);
    }

    /// Takes a packet of the guest.
    pub(super) fn take(&mut self, packet: &Packet<'_>) {
        self.credit.heard(packet.buf_alloc(), packet.fwd_cnt());
        match packet.op() {
            op::RESPONSE if matches!(self.step, Step::Asking) => {
                self.step = Step::Open;
                // A socket that was written nothing yet has room for a line.
                if writeln!(&self.socket, "OK {}", self.host_port).is_err() {
                    self.reset();
                }
            }
            op::RW => self.deliver(packet),
            op::CREDIT_REQUEST => self.orders.push_back((op::CREDIT_UPDATE, 0)),
            op::SHUTDOWN => self.shut(packet.flags()),
            op::RST => {
                self.known = false;
                self.orders.clear();
                self.end();
            }
            // Credit was heard above; other operations are for newer devices.
            _ => {}
        }
    }

    fn deliver(&mut self, packet: &Packet<'_>) {
        let Some(data) = packet.data_slice() else {
            return;
        };
        let mut written = 0;
        if self.backlog.is_empty() {
            written = match self.socket.write_volatile(data) {
                Ok(bytes) => bytes,
                Err(VolatileMemoryError::IOError(error))
                    if error.kind() == io::ErrorKind::WouldBlock =>
                {
                    0
                }
                Err(_) => return self.reset(),
            };
        }
        self.credit.taken(written as u32);
        let Ok(rest) = data.offset(written) else {
            return;
        };
        // More than it was told to have room for.
        if self.backlog.len() + rest.len() > BUFFER as usize {
            return self.reset();
        }
        let at = self.backlog.len();
        self.backlog.resize(at + rest.len(), 0);
        rest.copy_to(&mut self.backlog.make_contiguous()[at..]);
        self.tell();
    }

    /// Writes what was kept back.
    fn flush(&mut self) {
        while !self.backlog.is_empty() {
            let (first, _) = self.backlog.as_slices();
            match (&self.socket).write(first) {
                Ok(bytes) => {
                    self.backlog.drain(..bytes);
                    self.credit.taken(bytes as u32);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return self.reset(),
            }
        }
        self.tell();
        if self.backlog.is_empty() && self.guest_mute {
            self.shut_socket();
        }
    }

    fn tell(&mut self) {
        let told = self
            .orders
            .iter()
            .any(|(order, _)| *order == op::CREDIT_UPDATE);
        if matches!(self.step, Step::Open) && self.credit.is_worth_telling() && !told {
            self.orders.push_back((op::CREDIT_UPDATE, 0));
        }
    }

    fn shut(&mut self, flags: u32) {
        self.guest_mute |= flags & MUTE != 0;
        self.guest_deaf |= flags & DEAF != 0;
        if self.guest_mute && self.guest_deaf {
            // The guest's kernel keeps the port until it is answered.
            self.orders.clear();
            self.orders.push_back((op::RST, 0));
            self.step = Step::Over;
        }
        if self.guest_mute && self.backlog.is_empty() {
            self.shut_socket();
        }
    }

    fn shut_socket(&self) {
        let how = match self.step {
            Step::Over => Shutdown::Both,
            Step::Greeting(_) | Step::Asking | Step::Open => Shutdown::Write,
        };
        // A program that has hung up meanwhile needs no telling.
        drop(self.socket.shutdown(how));
    }

    /// The host's end is gone: nothing can be delivered any more.
    fn reset(&mut self) {
        self.backlog.clear();
        self.orders.clear();
        if self.known {
            self.orders.push_back((op::RST, 0));
        }
        self.end();
    }

    fn end(&mut self) {
        self.step = Step::Over;
        self.guest_mute = true;
        if self.backlog.is_empty() {
            self.shut_socket();
        }
    }

    fn is_hung_up(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut asked = [PollFd::new(&self.socket, PollFlags::empty())];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut asked, Some(&at_once)).is_ok() && asked[0].revents().contains(PollFlags::HUP)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The port in `CONNECT PORT` and a newline.
fn greeted(said: &[u8]) -> Option<u32> {
    let line = std::str::from_utf8(said).ok()?.strip_suffix('\n')?;
    line.strip_prefix("CONNECT ")?.trim().parse().ok()
}

/// The header of a packet for the guest, without payload and counters.
pub(super) fn head(
    packet: &mut VsockPacket<'_, ()>,
    ports: (u32, u32),
    operation: u16,
    flags: u32,
) {
    const STREAM: u16 = 1;
    packet
        .set_src_cid(HOST_CID)
        .set_dst_cid(GUEST_CID)
        .set_src_port(ports.0)
        .set_dst_port(ports.1)
        .set_type(STREAM)
        .set_op(operation)
        .set_flags(flags)
        .set_len(0)
        .set_buf_alloc(0)
        .set_fwd_cnt(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_names_a_port_and_nothing_else() {
        assert_eq!(greeted(b"CONNECT 1024\n"), Some(1024));
        assert_eq!(greeted(b"CONNECT 4294967295\n"), Some(u32::MAX));
        for wrong in [
            "",
            "CONNECT 1024",
            "CONNECT\n",
            "CONNECT x\n",
            "connect 1\n",
            "CONNECT 4294967296\n",
        ] {
            assert_eq!(greeted(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_stream_asks_for_the_port_that_was_greeted() {
        let (mut host, ours) = UnixStream::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("a socket can be so");
        let mut stream = Stream::new(ours, 7);
        host.write_all(b"CONN").expect("it has room");
        stream.ready(true, false, false);
        assert!(!stream.wants());
        host.write_all(b"ECT 80\nGET /").expect("it has room");
        stream.ready(true, false, false);
        assert_eq!(stream.orders, [(op::REQUEST, 0)]);
        assert_eq!(stream.guest_port, 80);
    }

    #[test]
    fn garbage_ends_a_stream_before_the_guest_hears_of_it() {
        let (mut host, ours) = UnixStream::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("a socket can be so");
        let mut stream = Stream::new(ours, 7);
        host.write_all(b"GET / HTTP/1.1\r\n\r\n")
            .expect("it has room");
        stream.ready(true, false, false);
        assert!(stream.is_finished());
        let mut rest = Vec::new();
        // Unread bytes make the end a reset; either way it is an end.
        drop(host.read_to_end(&mut rest));
        assert!(rest.is_empty());
    }
}
