//! Packets: a sequence number and a value as postcard bytes, with descriptors beside them.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use proa_kernel::message;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest packet that any side sends.
pub(crate) const MAX_PACKET: usize = 64 * 1024;

/// The largest request; small, so that a monitor receives it on its stack. Long values travel in a memfd.
pub(crate) const MAX_REQUEST: usize = 2048;

/// One packet, decoded.
#[derive(Debug)]
pub(crate) struct Packet<T> {
    /// Pairs a reply with its request.
    pub(crate) sequence: u32,
    /// The value; `None` for bytes that say nothing.
    pub(crate) body: Option<T>,
    /// What came with it.
    pub(crate) fds: Vec<OwnedFd>,
}

/// Bytes of one packet.
pub(crate) fn encode<T: Serialize>(sequence: u32, body: &T) -> io::Result<Vec<u8>> {
    let bytes = postcard::to_allocvec(&(sequence, body)).map_err(io::Error::other)?;
    if bytes.len() > MAX_PACKET {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(bytes)
}

/// The sequence number and the value in a packet's bytes. The number may be there without a value.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> (u32, Option<T>) {
    match postcard::take_from_bytes::<u32>(bytes) {
        Ok((sequence, rest)) => (sequence, postcard::from_bytes(rest).ok()),
        Err(_) => (0, None),
    }
}

/// Sends a packet, or says `WouldBlock`.
pub(crate) fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    sequence: u32,
    body: &T,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    message::try_send(socket, &encode(sequence, body)?, fds)
}

/// Receives the next packet: `None` when none is there, `UnexpectedEof` when the other side is gone.
pub(crate) fn receive<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<Option<Packet<T>>> {
    let received = match message::try_receive(socket, buffer) {
        Ok(received) => received,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Err(error) => return Err(error),
    };
    if received.length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (sequence, body) = decode(&buffer[..received.length]);
    Ok(Some(Packet {
        sequence,
        body,
        fds: received.fds,
    }))
}

/// Reads a value from the memfd it travels in.
pub(crate) fn read_value<T: DeserializeOwned>(memfd: &OwnedFd) -> io::Result<T> {
    let length = rustix::fs::fstat(memfd)?.st_size as usize;
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match rustix::io::pread(memfd, &mut bytes[filled..], filled as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    postcard::from_bytes(&bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Puts a value into a memfd to travel in.
pub(crate) fn write_value<T: Serialize>(name: &str, value: &T) -> io::Result<OwnedFd> {
    let bytes = postcard::to_allocvec(value).map_err(io::Error::other)?;
    proa_kernel::memfd::sealed(name, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::Launch;
    use crate::monitor::message::{ExecLaunch, Message, Request, Target};

    #[test]
    fn a_packet_is_read_back() {
        let request = Request::Signal {
            target: Target::Exec("e".into()),
            signal: 9,
        };
        let bytes = encode(7, &request).unwrap();
        assert_eq!(decode::<Request>(&bytes), (7, Some(request)));
    }

    #[test]
    fn a_request_of_a_newer_client_keeps_its_number() {
        let bytes = [7, 200];
        assert_eq!(decode::<Request>(&bytes), (7, None));
    }

    /// Bytes without a plan decode to something or nothing, and never panic or take long.
    #[test]
    fn rubbish_is_harmless() {
        let mut state = 1_u64;
        for length in (0..20_000).map(|round| round % 200) {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    // Small numbers are lengths and variants: they get deeper.
                    if state >> 63 == 0 {
                        (state >> 40) as u8 % 12
                    } else {
                        (state >> 40) as u8
                    }
                })
                .collect();
            let _ = decode::<Request>(&bytes);
            let _ = decode::<Message>(&bytes);
            let _ = postcard::from_bytes::<Launch>(&bytes);
            let _ = postcard::from_bytes::<ExecLaunch>(&bytes);
        }
    }
}
