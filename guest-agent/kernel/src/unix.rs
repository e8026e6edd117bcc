//! What the kernel knows about a unix stream socket (`unix(7)`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::sys::check;

/// How much of what was written the peer has not read yet, in bytes of the kernel's buffers: 0 when all was read.
///
/// `SIOCOUTQ` of `linux/sockios.h`, which has the number of `TIOCOUTQ`.
pub fn unread_by_peer(socket: &impl AsFd) -> io::Result<usize> {
    let mut unread: libc::c_int = 0;
    // SAFETY: the kernel writes one int, which outlives the call.
    check(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut unread) })?;
    Ok(usize::try_from(unread).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_the_peer_has_read_is_no_longer_counted() {
        let (mut one, mut other) = UnixStream::pair().expect("two sockets");
        assert_eq!(unread_by_peer(&one).expect("the kernel knows"), 0);
        one.write_all(b"words").expect("there is room");
        assert!(unread_by_peer(&one).expect("the kernel knows") > 0);
        other.read_exact(&mut [0; 5]).expect("they are there");
        assert_eq!(unread_by_peer(&one).expect("the kernel knows"), 0);
    }
}
