//! The keeper's client: has containers launched, keeps descriptors, hears of deaths.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proa_kernel::message;

use super::{Launch, LaunchFds, Monitor};
use crate::keeper::message::{FromKeeper, ToKeeper, Use};
use crate::wire;

/// The control socket that `serve` inherits from the keeper.
#[derive(Debug)]
pub struct Keeper {
    socket: OwnedFd,
}

/// What the keeper tells without being asked.
#[derive(Debug)]
pub enum Notice {
    /// A monitor's process ended.
    MonitorEnded {
        /// The container's id.
        id: String,
        /// The monitor's process id, as in `Started::monitor`.
        monitor: u32,
        /// Whether it ended in good order: an exit record is in the container's folder. If not, the keeper has
        /// killed the container's processes.
        recorded: bool,
    },
    /// A descriptor kept for an earlier `serve`.
    Kept {
        /// The name it was kept under.
        name: String,
        /// The descriptor.
        fd: OwnedFd,
    },
    /// Every kept descriptor was handed over.
    Ready,
    /// The keeper was asked to stop: answer what is under way, then exit. Containers go on.
    Stop,
}

impl Keeper {
    /// Takes over the control socket, which becomes non-blocking.
    pub fn new(socket: OwnedFd) -> io::Result<Keeper> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Keeper { socket })
    }

    /// Has a monitor made and the container's first process started by it. Does not wait: the first message from the
    /// returned monitor is `Message::Launched`. An end of the connection before that means that the keeper or the monitor
    /// failed.
    pub fn launch(&self, launch: &Launch, with: &LaunchFds<'_>) -> io::Result<Monitor> {
        let value = wire::write_value("launch", launch)?;
        let (ours, theirs) = message::pair()?;
        let (uses, others): (Vec<Use>, Vec<BorrowedFd<'_>>) = uses(with).unzip();
        let request = ToKeeper::Launch {
            id: launch.id.clone(),
            cgroup: launch.cgroup.clone(),
            uses,
        };
        let fds = [&[value.as_fd(), theirs.as_fd()][..], &others].concat();
        self.send(&request, &fds)?;
        Monitor::new(ours)
    }

    /// Has the monitor of a container killed that hangs in the middle of a launch.
    pub fn end(&self, id: &str) -> io::Result<()> {
        self.send(&ToKeeper::End { id: id.to_owned() }, &[])
    }

    /// Keeps a descriptor beyond this process's end, under a name; the next `serve` gets it as [`Notice::Kept`].
    pub fn keep(&self, name: &str, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.send(
            &ToKeeper::Keep {
                name: name.to_owned(),
            },
            &[fd],
        )
    }

    /// Forgets a kept descriptor.
    pub fn release(&self, name: &str) -> io::Result<()> {
        self.send(
            &ToKeeper::Release {
                name: name.to_owned(),
            },
            &[],
        )
    }

    /// Says that connections are accepted. A `serve` that ends before its first such word takes the keeper with it: it
    /// cannot run here, and starting it again would not help.
    pub fn serving(&self) -> io::Result<()> {
        self.send(&ToKeeper::Serving, &[])
    }

    /// The next notice that has arrived; `None` when there is none yet. `UnexpectedEof`: the keeper is gone, and with
    /// it the listeners; `serve` should end.
    pub fn receive(&self) -> io::Result<Option<Notice>> {
        let mut buffer = [0; wire::MAX_REQUEST];
        let Some(packet) = wire::receive::<FromKeeper>(self.socket.as_fd(), &mut buffer)? else {
            return Ok(None);
        };
        let fd = packet.fds.into_iter().next();
        match (packet.body, fd) {
            (
                Some(FromKeeper::MonitorEnded {
                    id,
                    monitor,
                    recorded,
                }),
                _,
            ) => Ok(Some(Notice::MonitorEnded {
                id,
                monitor,
                recorded,
            })),
            (Some(FromKeeper::Kept { name }), Some(fd)) => Ok(Some(Notice::Kept { name, fd })),
            (Some(FromKeeper::Ready), _) => Ok(Some(Notice::Ready)),
            (Some(FromKeeper::Stop), _) => Ok(Some(Notice::Stop)),
            (None | Some(FromKeeper::Kept { .. }), _) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Blocks while the keeper's queue is full, which lasts as long as a few monitors take to be made.
    fn send(&self, request: &ToKeeper, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = wire::encode(0, request)?;
        loop {
            match message::try_send(&self.socket, &bytes, fds) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    super::wait_for(&self.socket, rustix::event::PollFlags::OUT, None)?;
                }
                other => return other,
            }
        }
    }
}

/// The descriptors of a launch with what each is for.
fn uses<'a>(with: &LaunchFds<'a>) -> impl Iterator<Item = (Use, BorrowedFd<'a>)> {
    let attaches = with
        .attaches
        .iter()
        .map(|(streams, fd)| (Use::Attach(*streams), *fd));
    let cgroup = with.cgroup.into_iter().map(|fd| (Use::Cgroup, fd));
    let tasks = with.cgroup1_tasks.iter().map(|fd| (Use::Cgroup1Tasks, *fd));
    let namespaces = with
        .namespaces
        .iter()
        .map(|(kind, fd)| (Use::Namespace(*kind), *fd));
    let oom_watch = with.oom_watch.into_iter().map(|fd| (Use::OomWatch, fd));
    let oom_counter = with.oom_counter.into_iter().map(|fd| (Use::OomCounter, fd));
    attaches
        .chain(cgroup)
        .chain(tasks)
        .chain(namespaces)
        .chain(oom_watch)
        .chain(oom_counter)
}

impl AsFd for Keeper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
