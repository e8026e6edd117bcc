//! A netlink socket: requests out, answers in, nothing of what they mean.

use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Mutex;

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt,
};

use super::wire::{Attributes, HEADER, Messages, text, u32_at};
use super::{Error, Result};
use crate::network::NetworkNamespace;
use crate::sys::check;

/// The kernel's dumps come in pieces of at most this many bytes (`NLMSG_GOODSIZE`, `netlink_dump`).
const PIECE: usize = 32 << 10;
/// What a socket's send buffer holds from the start on most hosts (`net.core.wmem_default`).
const SEND_BUFFER: usize = 200 << 10;
/// `NLMSGERR_ATTR_MSG`
const ERROR_TEXT: u16 = 1;
/// A dump is begun anew this often if something changed meanwhile.
const DUMP_TRIES: usize = 16;

/// A socket to one part of the kernel, in the network namespace where it was made. Threads take turns.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    /// The number of the next message, and whose turn it is.
    next: Mutex<u32>,
}

/// One message the kernel did not obey.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Which of the messages sent together.
    pub(crate) index: usize,
    pub(crate) source: io::Error,
    pub(crate) text: Option<String>,
}

impl Socket {
    /// Opens a socket of a netlink family, as `NETLINK_ROUTE`, in the calling thread's network namespace or in another.
    pub(crate) fn door(family: libc::c_int, namespace: Option<&NetworkNamespace>) -> Result<Self> {
        let opened = match namespace {
            Some(namespace) => namespace.inside(|| Self::open(family)),
            None => Self::open(family),
        };
        opened.map_err(|source| {
            let what = match family {
                libc::NETLINK_ROUTE => "a route socket",
                _ => "a netfilter socket",
            };
            Error::new("open", what, source)
        })
    }

    fn open(family: libc::c_int) -> io::Result<Self> {
        let protocol = NonZeroU32::new(family as u32).map(Protocol::from_raw);
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        // Text of errors, short answers, and dumps that heed the filter in their request: each only makes things
        // better, so a kernel that lacks one (the last came with Linux 4.20) is asked without.
        for option in [
            libc::NETLINK_EXT_ACK,
            libc::NETLINK_CAP_ACK,
            libc::NETLINK_GET_STRICT_CHK,
        ] {
            let _ = switch_on(&fd, option);
        }
        Ok(Self {
            fd,
            next: Mutex::new(1),
        })
    }

    /// Sends `count` messages, which `write` makes given the number of the first. One of them has to ask for an
    /// acknowledgement.
    ///
    /// The kernel answers before `send` returns, so nothing is waited for: an empty queue means that it is all there.
    pub(crate) fn submit(
        &self,
        count: usize,
        write: impl FnOnce(u32) -> Vec<u8>,
    ) -> io::Result<Vec<Refusal>> {
        self.exchange(count, write, |_| {})
    }

    /// The same, for requests that are answered by a message.
    pub(crate) fn exchange(
        &self,
        count: usize,
        write: impl FnOnce(u32) -> Vec<u8>,
        mut answer: impl FnMut(&[u8]),
    ) -> io::Result<Vec<Refusal>> {
        let mut turn = self.turn();
        let first = *turn;
        *turn = first.wrapping_add(count as u32);
        self.send(&write(first))?;
        let mut buffer = vec![0; PIECE];
        let mut refusals = Vec::new();
        let mut acknowledged = false;
        while let Some(length) = self.receive(&mut buffer)? {
            for message in Messages(&buffer[..length]) {
                let index = message.sequence.wrapping_sub(first) as usize;
                if index >= count {
                    continue;
                }
                if message.kind != libc::NLMSG_ERROR as u16 {
                    answer(message.body);
                } else if let Some((source, text)) = refusal(message.flags, message.body) {
                    refusals.push(Refusal {
                        index,
                        source,
                        text,
                    });
                } else {
                    acknowledged = true;
                }
            }
        }
        if refusals.is_empty() && !acknowledged {
            return Err(io::Error::from_raw_os_error(libc::ENODATA));
        }
        Ok(refusals)
    }

    /// Asks for a list: `visit` sees the body of every message of it. `begin` is called before each attempt.
    pub(crate) fn dump(
        &self,
        kind: u16,
        body: &[u8],
        mut begin: impl FnMut(),
        mut visit: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let mut turn = self.turn();
        for _ in 0..DUMP_TRIES {
            let sequence = *turn;
            *turn = sequence.wrapping_add(1);
            begin();
            if self.dump_once(sequence, kind, body, &mut visit)? {
                return Ok(());
            }
        }
        Err(io::Error::from_raw_os_error(libc::EINTR))
    }

    /// Whether nothing changed meanwhile.
    fn dump_once(
        &self,
        sequence: u32,
        kind: u16,
        body: &[u8],
        visit: &mut impl FnMut(&[u8]),
    ) -> io::Result<bool> {
        let mut writer = super::Writer::default();
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        writer.message(kind, flags, sequence, |w| w.raw(body));
        self.send(&writer.bytes)?;
        let mut buffer = vec![0; PIECE];
        let mut steady = true;
        // The kernel makes the next piece when the last one is read, so here too everything is there or never will be.
        while let Some(length) = self.receive(&mut buffer)? {
            for message in Messages(&buffer[..length]) {
                if message.sequence != sequence {
                    continue;
                }
                steady &= message.flags & libc::NLM_F_DUMP_INTR as u16 == 0;
                match i32::from(message.kind) {
                    libc::NLMSG_ERROR | libc::NLMSG_DONE => {
                        let end = refusal(message.flags, message.body);
                        return end.map_or(Ok(steady), |(error, _)| Err(error));
                    }
                    _ => visit(message.body),
                }
            }
        }
        Err(io::Error::from_raw_os_error(libc::ENODATA))
    }

    fn turn(&self) -> std::sync::MutexGuard<'_, u32> {
        // A number is never half written, so a panic elsewhere does not matter.
        self.next
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > SEND_BUFFER {
            // Root may exceed the host's limit; the kernel counts its own bookkeeping too.
            sockopt::set_socket_send_buffer_size_force(&self.fd, bytes.len() * 2)?;
        }
        // What an exchange that failed half way left behind has numbers of its own, and is passed over.
        retry(|| rustix::net::send(&self.fd, bytes, SendFlags::empty())).map(drop)
    }

    /// Reads one datagram, if there is one.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        match retry(|| rustix::net::recv(&self.fd, &mut *buffer, flags)) {
            Ok((_, length)) if length > buffer.len() => {
                Err(io::Error::from_raw_os_error(libc::EMSGSIZE))
            }
            Ok((_, length)) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

fn switch_on(socket: &OwnedFd, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: reads one integer, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })
    .map(drop)
}

/// The error in an `NLMSG_ERROR` or `NLMSG_DONE`: none is an acknowledgement.
fn refusal(flags: u16, body: &[u8]) -> Option<(io::Error, Option<String>)> {
    let code = u32_at(body, 0).unwrap_or(0) as i32;
    if code == 0 {
        return None;
    }
    // The number is followed by the request's header, and by all of the request unless that was left out.
    let request = match flags & libc::NLM_F_CAPPED as u16 {
        0 => u32_at(body, 4).unwrap_or(0) as usize,
        _ => HEADER,
    };
    let words = (flags & libc::NLM_F_ACK_TLVS as u16 != 0)
        .then(|| Attributes::after(4 + request.next_multiple_of(4), body).find(ERROR_TEXT))
        .flatten()
        .map(text);
    Some((io::Error::from_raw_os_error(code.saturating_neg()), words))
}

/// What the tests of arbitrary bytes reach.
#[cfg(test)]
pub(super) fn take_apart(bytes: &[u8]) {
    for flags in [0, u16::MAX] {
        let _ = refusal(flags, bytes);
    }
}
