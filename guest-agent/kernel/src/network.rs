//! Network namespaces: making them, finding them, doing something inside.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
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

    /// Makes one and runs `first` in it.
    pub fn create_with<T>(first: impl FnOnce() -> io::Result<T>) -> io::Result<(Self, T)> {
        let _return = Return::here()?;
        unshare(Namespaces::NET)?;
        Ok((Self::current()?, first()?))
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

    /// Runs `work` inside. The files under `/proc/sys/net` are then this namespace's, and sockets made there belong to
    /// it for good, wherever they are used.
    ///
    /// It is the calling thread that goes there and comes back, which takes some microseconds; a thread of its own
    /// would take as many milliseconds where all processors are busy. Other threads stay where they are.
    pub fn inside<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let _return = Return::here()?;
        enter(&self.fd, Namespaces::NET)?;
        work()
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

/// Brings the calling thread back to where it came from, also when it panics.
struct Return(NetworkNamespace);

impl Return {
    fn here() -> io::Result<Self> {
        NetworkNamespace::current().map(Self)
    }
}

impl Drop for Return {
    fn drop(&mut self) {
        // Only a lack of memory for a few bytes can make this fail. A thread that stayed would do its next work in
        // somebody else's network, which is worse than a restart.
        if enter(&self.0, Namespaces::NET).is_err() {
            std::process::abort();
        }
    }
}
