//! A container's files as the container sees them: a descriptor of its root, from which everything that is mounted in
//! it is reached, and nothing else.
//!
//! A live container's is opened by a short-lived thread that joins its mount namespace: `/proc/PID/root` would be
//! wherever its first process has changed its root to. One that does not run gets a mount namespace of its own, with
//! the root and what would be mounted in it, which ends with the view.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use proa_kernel::mount::{self, Change, attribute, propagation};
use proa_kernel::namespace::{self, Namespaces};
use proa_kernel::resolve::{self, Kind};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};

/// A root to look into, and to write to where its mounts allow it.
#[derive(Debug)]
pub struct View {
    root: OwnedFd,
    /// Keeps what is mounted in the root there.
    _namespace: Option<OwnedFd>,
}

/// Something to be mounted in a view.
#[derive(Debug)]
pub struct Placed {
    /// A detached mount.
    pub mount: OwnedFd,
    /// Where.
    pub target: PathBuf,
    /// Not to be written to.
    pub read_only: bool,
    /// Whom the place belongs to if it has to be made.
    pub owner: (u32, u32),
}

impl View {
    /// The root of a process's mount namespace, with everything that is mounted in it; `alone`: without. The process
    /// must be in a cgroup whose name ends with `group`: its number may be another process's by now.
    pub fn of_process(pid: u32, group: &str, alone: bool) -> io::Result<View> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let entrance = rustix::fs::open(format!("/proc/{pid}/ns/mnt"), flags, Mode::empty())?;
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        if !groups.lines().any(|line| line.ends_with(group)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let root = apart(|| {
            // Threads share their root; whoever changes namespaces may not.
            namespace::unshare_root()?;
            namespace::enter(&entrance, Namespaces::MOUNT)?;
            if alone {
                mount::clone_path(c"/", false)
            } else {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                Ok(rustix::fs::open(c"/", flags, Mode::empty())?)
            }
        })?;
        Ok(View {
            root,
            _namespace: None,
        })
    }

    /// A root that is mounted nowhere.
    pub fn of_root(root: OwnedFd) -> View {
        View {
            root,
            _namespace: None,
        }
    }

    /// A root with these mounts in it, in this order. Places that are missing are made where that can be done.
    pub fn assemble(root: OwnedFd, mounts: &[Placed]) -> io::Result<View> {
        let namespace = std::thread::scope(|scope| {
            let build = || {
                namespace::unshare(Namespaces::MOUNT)?;
                mount::set_propagation(c"/", propagation::PRIVATE, true)?;
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                let own = rustix::fs::open(c"/proc/thread-self/ns/mnt", flags, Mode::empty())?;
                // Any directory will do: what it hides is left behind by the next step.
                mount::place_at(&root, c"/sys")?;
                mount::pivot_root(&root)?;
                for placed in mounts {
                    place(root.as_fd(), placed)?;
                }
                Ok(own)
            };
            joined(std::thread::Builder::new().spawn_scoped(scope, build)?)
        })?;
        Ok(View {
            root,
            _namespace: Some(namespace),
        })
    }
}

impl AsFd for View {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

fn place(root: BorrowedFd<'_>, placed: &Placed) -> io::Result<()> {
    let stat = rustix::fs::fstat(&placed.mount)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Directory,
        _ => Kind::File,
    };
    let target = match resolve::locate(root, &placed.target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = resolve::locate_or_make(root, &placed.target, kind)?;
            let (uid, gid) = (Uid::from_raw(placed.owner.0), Gid::from_raw(placed.owner.1));
            rustix::fs::chownat(&made, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
            made
        }
        found => found?,
    };
    let mut change = Change {
        propagation: propagation::PRIVATE,
        ..Change::default()
    };
    if placed.read_only {
        change.set = attribute::RDONLY;
    }
    mount::change(&placed.mount, &change, true)?;
    mount::place(&placed.mount, target)
}

/// Does something on a thread of its own.
fn apart(work: impl FnOnce() -> io::Result<OwnedFd> + Send) -> io::Result<OwnedFd> {
    std::thread::scope(|scope| joined(std::thread::Builder::new().spawn_scoped(scope, work)?))
}

fn joined(thread: std::thread::ScopedJoinHandle<'_, io::Result<OwnedFd>>) -> io::Result<OwnedFd> {
    // A thread of ours does not panic.
    let died = |_| io::Error::from(rustix::io::Errno::IO);
    thread.join().map_err(died)?
}
