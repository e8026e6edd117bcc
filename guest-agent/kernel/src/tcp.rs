//! What the kernel knows about a TCP connection (`tcp(7)`, `TCP_INFO`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use crate::sys::check;

/// How long a packet and its acknowledgement took, by the kernel's clock. Right after a connection was made, that is the
/// time of its handshake.
pub fn round_trip(socket: &impl AsFd) -> io::Result<Duration> {
    // SAFETY: an all-zero `tcp_info` is a valid value of that plain C struct.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, the size of the struct, which outlives the call.
    check(unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    })?;
    Ok(Duration::from_micros(info.tcpi_rtt.into()))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_handshake_took_some_time() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it has an address");
        let stream = TcpStream::connect(address).expect("it is connected");
        let took = round_trip(&stream).expect("the kernel knows");
        assert!(
            took > Duration::ZERO && took < Duration::from_secs(5),
            "{took:?}"
        );
    }
}
