//! Session keyrings (`keyrings(7)`).

use std::ffi::CStr;
use std::io;

use crate::sys::check_long;

/// Gives the caller a session keyring of its own under this name, so that it sees no keys of the host.
///
/// `keyctl(KEYCTL_JOIN_SESSION_KEYRING)`; a kernel without keyrings answers `ENOSYS`.
pub fn join_session(name: &CStr) -> io::Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: the name is a C string that outlives the call.
    check_long(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) })
        .map(drop)
}
