//! Descriptors a program was started with.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use rustix::io::FdFlags;

/// Takes over the open descriptor `number`, which this program was started with and which nothing in it owns yet; it is
/// closed by the next `execve`.
pub fn take(number: i32) -> io::Result<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: `fcntl` with integers; it only says whether the number is open.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and by the caller's word nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// Leaves `fd` open across the next `execve` and says its number, to be told to the next program.
pub fn leave_open(fd: impl AsFd) -> io::Result<i32> {
    use std::os::fd::AsRawFd;
    rustix::io::fcntl_setfd(fd.as_fd(), FdFlags::empty())?;
    Ok(fd.as_fd().as_raw_fd())
}
