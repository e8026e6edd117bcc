//! The vsock device: streams between unix sockets of the host and the guest's vsock ports.
//!
//! Whoever connects to the host's socket says `CONNECT PORT` and a newline, and gets `OK` and a newline once the guest
//! has accepted; from then on bytes are carried. Only the host opens streams: a guest that tries is refused.
//!
//! ```text
//!  host program ⇄ unix socket ⇄ Stream ⇄ packets in the guest's rx and tx rings ⇄ guest program
//! ```
//!
//! Numbers and rules are those of the virtio standard 1.2, section 5.10. One thread does everything: it sleeps in the
//! loop of vhost-user-backend, which wakes it for rings and, through an epoll descriptor of ours, for sockets.
//!
//! Start at [`run`].

mod credit;
mod device;
mod ring;
mod stream;

use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex};

use vhost_user_backend::VhostUserDaemon;
use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};

use super::DeviceError;

/// The address of the host, and the one that we give to the one guest (section 5.10.4).
const HOST_CID: u64 = 2;
const GUEST_CID: u64 = 3;

/// How many bytes from the guest wait for a program of the host that does not read.
const BUFFER: u32 = 256 * 1024;

/// Carries streams until the machine ends.
pub(super) fn run() -> Result<(), DeviceError> {
    let machine = super::machine_side()?;
    let host = super::inherited(std::io::stdout().as_fd())?;
    let backend = Arc::new(Mutex::new(device::Device::new(host)?));
    let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
    let mut daemon = VhostUserDaemon::new("vsock".into(), Arc::clone(&backend), memory)
        .map_err(|error| DeviceError::looped("make the vsock device", error))?;
    let loops = daemon.get_epoll_handlers();
    device::watch_sockets(&backend, &loops)?;
    daemon
        .start(&mut machine.into())
        .map_err(|error| DeviceError::looped("meet the machine", error))?;
    // The hypervisor hangs up at its end, which is no error.
    drop(daemon.wait());
    Ok(())
}
