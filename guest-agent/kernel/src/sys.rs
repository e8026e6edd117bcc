//! Turning what system calls return into `io::Result`.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// `-1` is the error in `errno`.
pub(crate) fn check(ret: libc::c_int) -> io::Result<libc::c_int> {
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(ret)
    }
}

/// The same for `syscall(2)`.
pub(crate) fn check_long(ret: libc::c_long) -> io::Result<libc::c_long> {
    if ret < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(ret)
    }
}

/// A new descriptor that a system call returned.
pub(crate) fn owned_fd(ret: libc::c_int) -> io::Result<OwnedFd> {
    let raw = check(ret)?;
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
