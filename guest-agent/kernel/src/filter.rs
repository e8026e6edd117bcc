//! Loading a seccomp program into the caller (`seccomp(2)`).

use std::io;
use std::os::fd::OwnedFd;

use crate::sys::{check_long, owned_fd};

/// `SECCOMP_FILTER_FLAG_LOG`: log what the program refuses.
pub const FLAG_LOG: u32 = 1 << 1;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: no mitigation against speculative store bypass.
pub const FLAG_SPEC_ALLOW: u32 = 1 << 2;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`: return a descriptor on which a supervisor answers `SCMP_ACT_NOTIFY`.
pub const FLAG_NEW_LISTENER: u32 = 1 << 3;

/// Installs a program of classic BPF instructions, eight bytes each as in `struct sock_filter`.
///
/// Needs `no_new_privs` or `CAP_SYS_ADMIN`. With [`FLAG_NEW_LISTENER`] the listener is returned.
pub fn load(program: &[u8], flags: u32) -> io::Result<Option<OwnedFd>> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    if !program.len().is_multiple_of(8) {
        return Err(invalid());
    }
    let instructions: Vec<libc::sock_filter> = program
        .chunks_exact(8)
        .map(|raw| libc::sock_filter {
            code: u16::from_ne_bytes([raw[0], raw[1]]),
            jt: raw[2],
            jf: raw[3],
            k: u32::from_ne_bytes([raw[4], raw[5], raw[6], raw[7]]),
        })
        .collect();
    let length = u16::try_from(instructions.len()).map_err(|_| invalid())?;
    let filter = libc::sock_fprog {
        len: length,
        filter: instructions.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies `length` instructions, which is how many there are.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const filter,
        )
    };
    let ret = check_long(ret)?;
    if flags & FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    owned_fd(ret as libc::c_int).map(Some)
}
