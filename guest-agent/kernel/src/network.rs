//! Network namespaces: making them, finding them, doing something inside.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::panic::resume_unwind;
use std::path::Path;

use crate::namespace::{Namespaces, enter, unshare};
use crate::sys::owned_fd;

const SETTINGS: &str = "/proc/sys/net";

/// A network namespace, which lives at least as long as this descriptor.
#[derive(Debug)]
pub struct NetworkNamespace {
    fd: OwnedFd,
}

impl NetworkNamespace {
    /// Makes one. Its loopback device is there, and down.
    pub fn create() -> io::Result<Self> {
        Self::create_with(|| Ok(())).map(|(namespace, ())| namespace)
    }

    /// Makes one and runs `first` in it, in the thread that made it: cheaper than [`create`](Self::create) and
    /// [`inside`](Self::inside) after one another.
    pub fn create_with<T: Send>(
        first: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<(Self, T)> {
        in_a_thread(|| {
            unshare(Namespaces::NET)?;
            Ok((Self::current()?, first()?))
        })
    }

    /// The calling thread's.
    pub fn current() -> io::Result<Self> {
        Self::open("/proc/thread-self/ns/net")
    }

    /// That of a process.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        Self::open(&format!("/proc/{pid}/ns/net"))
    }

    /// The one that a socket was made in, wherever it is used (`SIOCGSKNS`).
    pub fn of_socket(socket: &impl AsFd) -> io::Result<Self> {
        // SAFETY: SIOCGSKNS takes no argument.
        let fd = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCGSKNS as _) };
        owned_fd(fd).map(|fd| Self { fd })
    }

    /// The one behind a descriptor of `/proc/PID/ns/net`.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    fn open(path: &str) -> io::Result<Self> {
        Ok(Self {
            fd: File::open(path)?.into(),
        })
    }

    /// Another descriptor of the same namespace.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            fd: self.fd.try_clone()?,
        })
    }

    /// What tells it from others while somebody holds it: the inode number, which `readlink /proc/PID/ns/net` shows.
    pub fn inode(&self) -> io::Result<u64> {
        Ok(File::from(self.fd.try_clone()?).metadata()?.ino())
    }

    /// Runs `work` in a thread that is inside, and ends with it. The files under `/proc/sys/net` are then this
    /// namespace's, and sockets made there belong to it for good, wherever they are used.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        in_a_thread(|| {
            enter(&self.fd, Namespaces::NET)?;
            work()
        })
    }
}

impl AsFd for NetworkNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<NetworkNamespace> for OwnedFd {
    fn from(namespace: NetworkNamespace) -> OwnedFd {
        namespace.fd
    }
}

/// Reads a setting of the calling thread's network namespace: a path below `/proc/sys/net`, as `ipv4/ip_forward`.
pub fn setting(path: &str) -> io::Result<String> {
    let text = std::fs::read_to_string(Path::new(SETTINGS).join(path))?;
    Ok(text.trim_end().to_owned())
}

/// Changes a setting of the calling thread's network namespace.
pub fn set(path: &str, value: &str) -> io::Result<()> {
    std::fs::write(Path::new(SETTINGS).join(path), value)
}

/// Threads are moved, never back: one that could not return would be somewhere else for its next user.
fn in_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("network".into())
            .spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
