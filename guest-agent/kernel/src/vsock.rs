//! Sockets between a virtual machine and its host (`vsock(7)`).

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use crate::sys::{check, owned_fd};

/// The address of the host, seen from a machine.
pub const HOST: u32 = libc::VMADDR_CID_HOST;

/// Listens at a port, whatever this machine's address is.
pub fn listen(port: u32) -> io::Result<OwnedFd> {
    // SAFETY: integers only.
    let socket = owned_fd(unsafe {
        libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0)
    })?;
    // SAFETY: an all-zero `sockaddr_vm` is a valid value of that plain C struct.
    let mut address: libc::sockaddr_vm = unsafe { mem::zeroed() };
    address.svm_family = libc::AF_VSOCK as libc::sa_family_t;
    address.svm_cid = libc::VMADDR_CID_ANY;
    address.svm_port = port;
    // SAFETY: the address outlives the call, and the size given is its own.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_vm>() as libc::socklen_t,
        )
    })?;
    rustix::net::listen(&socket, 128)?;
    Ok(socket)
}

/// The address of whoever is at the other end of a connection.
pub fn peer(socket: impl AsFd) -> io::Result<u32> {
    // SAFETY: an all-zero `sockaddr_vm` is a valid value of that plain C struct.
    let mut address: libc::sockaddr_vm = unsafe { mem::zeroed() };
    let mut size = size_of::<libc::sockaddr_vm>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes, which is the address's own size.
    check(unsafe {
        libc::getpeername(
            socket.as_fd().as_raw_fd(),
            (&raw mut address).cast(),
            &raw mut size,
        )
    })?;
    Ok(address.svm_cid)
}
