//! The rings that carry packets, and the loops over them.

use std::io;

use vhost_user_backend::{VringRwLock, VringT as _};
use virtio_queue::{QueueOwnedT as _, QueueT as _};
use virtio_vsock::packet::{PKT_HEADER_SIZE, VsockPacket};
use vm_memory::GuestAddressSpace as _;

use super::super::Memory;

/// A packet in the guest's memory.
pub(super) type Packet<'a> = VsockPacket<'a, ()>;

/// Longest payload of one packet; Linux's driver sends no longer ones (`VIRTIO_VSOCK_MAX_PKT_BUF_SIZE`).
const LONGEST: u32 = 64 * 1024;

/// What became of an empty packet that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// It holds a header and so many bytes.
    With(u32),
    /// There was nothing to put into it after all; offer it again.
    Nothing,
    /// Nobody wants to send.
    Done,
}

/// Shows every packet that the guest has sent.
pub(super) fn drain(
    ring: &VringRwLock,
    memory: &Memory,
    mut show: impl FnMut(&Packet<'_>),
) -> io::Result<()> {
    let guard = memory.memory();
    let mut state = ring.get_mut();
    let mut drained = false;
    loop {
        state.disable_notification().map_err(io::Error::other)?;
        while let Some(mut chain) = state.get_queue_mut().pop_descriptor_chain(guard.clone()) {
            let head = chain.head_index();
            // What is no packet is given back unread: the guest hurts itself only.
            if let Ok(packet) = VsockPacket::from_tx_virtq_chain(&*guard, &mut chain, LONGEST) {
                show(&packet);
            }
            state.add_used(head, 0).map_err(io::Error::other)?;
            drained = true;
        }
        if !state.enable_notification().map_err(io::Error::other)? {
            break;
        }
    }
    if drained && state.needs_notification().map_err(io::Error::other)? {
        state.signal_used_queue()
    } else {
        Ok(())
    }
}

/// Offers empty packets as long as there are some and `fill` has use for them.
pub(super) fn fill(
    ring: &VringRwLock,
    memory: &Memory,
    mut fill: impl FnMut(&mut Packet<'_>) -> Filled,
    mut wanted: impl FnMut() -> bool,
) -> io::Result<()> {
    let guard = memory.memory();
    let mut state = ring.get_mut();
    if !state.is_enabled() || !state.get_queue().ready() {
        return Ok(());
    }
    let mut used = false;
    while wanted() {
        let next = state.get_queue_mut().pop_descriptor_chain(guard.clone());
        let Some(mut chain) = next else {
            // The guest tells when it has made room; it may have done so meanwhile.
            if !state.enable_notification().map_err(io::Error::other)? {
                break;
            }
            continue;
        };
        let head = chain.head_index();
        let filled = match VsockPacket::from_rx_virtq_chain(&*guard, &mut chain, LONGEST) {
            Ok(mut packet) => fill(&mut packet),
            Err(_) => Filled::With(0),
        };
        let Filled::With(bytes) = filled else {
            state.get_queue_mut().go_to_previous_position();
            match filled {
                Filled::Nothing => continue,
                Filled::Done | Filled::With(_) => break,
            }
        };
        let length = PKT_HEADER_SIZE as u32 + bytes;
        state.add_used(head, length).map_err(io::Error::other)?;
        used = true;
    }
    if used && state.needs_notification().map_err(io::Error::other)? {
        state.signal_used_queue()
    } else {
        Ok(())
    }
}
