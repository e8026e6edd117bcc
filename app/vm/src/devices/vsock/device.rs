//! All streams of the one guest, and the loop's side of the device.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

use rustix::event::{Timespec, epoll};
use vhost::vhost_user::message::{VhostUserProtocolFeatures, VhostUserVirtioFeatures};
use vhost_user_backend::{VhostUserBackendMut, VringEpollHandler, VringRwLock};
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_ring::VIRTIO_RING_F_EVENT_IDX;
use vmm_sys_util::epoll::EventSet;

use super::super::{DeviceError, Memory};
use super::ring::{self, Filled, Packet};
use super::stream::{self, Stream, op};
use super::{GUEST_CID, HOST_CID};

/// The rings (virtio 1.2, section 5.10.2); the hypervisor keeps the third, for events, to itself.
const RX: u16 = 0;
const TX: u16 = 1;
const RINGS: usize = 3;

/// What the loop calls our sockets; numbers up to that of the rings are its own.
const SOCKETS: u16 = 4;

/// What our epoll descriptor calls the listening socket; streams have their ports, which are larger.
const LISTENER: u64 = 0;
const FIRST_PORT: u32 = 1 << 30;

/// Answers to packets that belong to no stream; a guest that sends more at a time goes without.
const STRAYS: usize = 128;

/// The device.
pub(super) struct Device {
    listener: UnixListener,
    sockets: OwnedFd,
    streams: HashMap<u32, Stream>,
    /// Streams that want to send, in the order of their turns.
    turns: VecDeque<u32>,
    /// Ports of ours and the guest's between which there is no stream.
    strays: VecDeque<(u32, u32)>,
    next_port: u32,
    memory: Option<Memory>,
}

/// Has `loops` wake the device for its sockets.
pub(super) fn watch_sockets(
    device: &Arc<Mutex<Device>>,
    loops: &[Arc<VringEpollHandler<Arc<Mutex<Device>>>>],
) -> Result<(), DeviceError> {
    let lock = device
        .lock()
        .map_err(|error| DeviceError::looped("reach the vsock device", error))?;
    let sockets = lock.sockets.as_raw_fd();
    // Without the lock: a socket may be ready already.
    drop(lock);
    for one in loops {
        one.register_listener(sockets, EventSet::IN, u64::from(SOCKETS))
            .map_err(DeviceError::system("watch the host's sockets"))?;
    }
    Ok(())
}

impl Device {
    pub(super) fn new(listener: UnixListener) -> Result<Device, DeviceError> {
        let failed =
            |error: rustix::io::Errno| DeviceError::system("watch the host's socket")(error.into());
        let sockets = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        listener
            .set_nonblocking(true)
            .map_err(DeviceError::system("prepare the host's socket"))?;
        epoll::add(
            &sockets,
            &listener,
            epoll::EventData::new_u64(LISTENER),
            epoll::EventFlags::IN,
        )
        .map_err(failed)?;
        Ok(Device {
            listener,
            sockets,
            streams: HashMap::new(),
            turns: VecDeque::new(),
            strays: VecDeque::new(),
            next_port: FIRST_PORT,
            memory: None,
        })
    }

    /// Everything that the sockets have to say.
    fn hear_sockets(&mut self) -> io::Result<()> {
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            epoll::wait(
                &self.sockets,
                rustix::buffer::spare_capacity(&mut events),
                Some(&at_once),
            )?;
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    port => self.hear(port as u32, event.flags),
                }
            }
            if events.len() < events.capacity() {
                return Ok(());
            }
        }
    }

    fn accept(&mut self) {
        // One that has gone again, or that there is no descriptor for, gets no stream.
        while let Ok((socket, _)) = self.listener.accept() {
            let port = self.free_port();
            let flags = epoll::EventFlags::IN
                | epoll::EventFlags::OUT
                | epoll::EventFlags::RDHUP
                | epoll::EventFlags::ET;
            let data = epoll::EventData::new_u64(u64::from(port));
            if socket.set_nonblocking(true).is_ok()
                && epoll::add(&self.sockets, &socket, data, flags).is_ok()
            {
                self.streams.insert(port, Stream::new(socket, port));
            }
        }
    }

    fn free_port(&mut self) -> u32 {
        loop {
            let port = self.next_port;
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            if !self.streams.contains_key(&port) {
                return port;
            }
        }
    }

    fn hear(&mut self, port: u32, flags: epoll::EventFlags) {
        let Some(stream) = self.streams.get_mut(&port) else {
            return;
        };
        let readable = flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP);
        let closed = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR);
        stream.ready(readable, flags.contains(epoll::EventFlags::OUT), closed);
        self.settle(port);
    }

    /// Queues a stream that wants to send and forgets one that is finished.
    fn settle(&mut self, port: u32) {
        let Some(stream) = self.streams.get_mut(&port) else {
            return;
        };
        if stream.is_finished() {
            self.streams.remove(&port);
        } else if stream.wants() && !stream.queued {
            stream.queued = true;
            self.turns.push_back(port);
        }
    }

    /// Takes a packet of the guest.
    fn take(&mut self, packet: &Packet<'_>) {
        let (ours, theirs) = (packet.dst_port(), packet.src_port());
        if packet.dst_cid() != HOST_CID || packet.src_cid() != GUEST_CID {
            return;
        }
        match self.streams.get_mut(&ours) {
            Some(stream) if packet.op() != op::REQUEST => {
                stream.take(packet);
                self.settle(ours);
            }
            Some(_) | None if packet.op() == op::RST => {}
            Some(_) | None if self.strays.len() < STRAYS => self.strays.push_back((ours, theirs)),
            Some(_) | None => {}
        }
    }

    fn wants(&self) -> bool {
        !self.strays.is_empty() || !self.turns.is_empty()
    }

    /// Puts the next packet for the guest into `packet`: one of each stream in turn.
    fn fill(&mut self, packet: &mut Packet<'_>) -> Filled {
        if let Some(ports) = self.strays.pop_front() {
            stream::head(packet, ports, op::RST, 0);
            return Filled::With(0);
        }
        let Some(port) = self.turns.pop_front() else {
            return Filled::Done;
        };
        let Some(stream) = self.streams.get_mut(&port) else {
            return Filled::Nothing;
        };
        stream.queued = false;
        let filled = if stream.wants() {
            stream.fill(packet)
        } else {
            Filled::Nothing
        };
        self.settle(port);
        filled
    }

    fn pump(&mut self, rx: &VringRwLock) -> io::Result<()> {
        let Some(memory) = self.memory.clone() else {
            return Ok(());
        };
        let device = std::cell::RefCell::new(self);
        ring::fill(
            rx,
            &memory,
            |packet| device.borrow_mut().fill(packet),
            || device.borrow().wants(),
        )
    }

    fn drain(&mut self, tx: &VringRwLock) -> io::Result<()> {
        let Some(memory) = self.memory.clone() else {
            return Ok(());
        };
        ring::drain(tx, &memory, |packet| self.take(packet))
    }
}

impl VhostUserBackendMut for Device {
    type Bitmap = ();
    type Vring = VringRwLock;

    fn num_queues(&self) -> usize {
        RINGS
    }

    fn max_queue_size(&self) -> usize {
        1024
    }

    fn features(&self) -> u64 {
        1 << VIRTIO_F_VERSION_1
            | 1 << VIRTIO_RING_F_EVENT_IDX
            | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits()
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::MQ | VhostUserProtocolFeatures::CONFIG
    }

    // Each ring keeps that for itself.
    fn set_event_idx(&mut self, _enabled: bool) {}

    /// The guest's address (section 5.10.4).
    fn get_config(&self, offset: u32, size: u32) -> Vec<u8> {
        let config = GUEST_CID.to_le_bytes();
        let wanted = offset as usize..offset.saturating_add(size) as usize;
        config.get(wanted).unwrap_or_default().to_vec()
    }

    fn update_memory(&mut self, memory: Memory) -> io::Result<()> {
        self.memory = Some(memory);
        Ok(())
    }

    fn queues_per_thread(&self) -> Vec<u64> {
        vec![0b111]
    }

    fn handle_event(
        &mut self,
        event: u16,
        _set: EventSet,
        rings: &[VringRwLock],
        _thread: usize,
    ) -> io::Result<()> {
        match event {
            TX => self.drain(&rings[usize::from(TX)])?,
            SOCKETS => self.hear_sockets()?,
            // Room for packets; or the ring that the hypervisor keeps.
            _ => {}
        }
        self.pump(&rings[usize::from(RX)])
    }
}
