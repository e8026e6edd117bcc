//! Namespaces: which kinds there are, entering and leaving them (`namespaces(7)`).

use std::io;
use std::ops::{BitOr, BitOrAssign};
use std::os::fd::{AsFd, AsRawFd};

use crate::sys::check;

/// A set of namespace kinds, as the bits that `clone3`, `setns` and `unshare` take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces(u32);

impl Namespaces {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Mount points.
    pub const MOUNT: Self = Self(libc::CLONE_NEWNS as u32);
    /// Process ids.
    pub const PID: Self = Self(libc::CLONE_NEWPID as u32);
    /// Host name and domain name.
    pub const UTS: Self = Self(libc::CLONE_NEWUTS as u32);
    /// System V IPC and POSIX message queues.
    pub const IPC: Self = Self(libc::CLONE_NEWIPC as u32);
    /// Network devices, addresses, ports.
    pub const NET: Self = Self(libc::CLONE_NEWNET as u32);
    /// The root of the cgroup tree as seen from inside.
    pub const CGROUP: Self = Self(libc::CLONE_NEWCGROUP as u32);
    /// User and group ids, capabilities.
    pub const USER: Self = Self(libc::CLONE_NEWUSER as u32);
    /// Boot and monotonic clocks.
    pub const TIME: Self = Self(0x80);

    /// The set with exactly these bits; bits that name no namespace are dropped.
    pub fn from_bits(bits: u32) -> Self {
        let all = [
            Self::MOUNT,
            Self::PID,
            Self::UTS,
            Self::IPC,
            Self::NET,
            Self::CGROUP,
            Self::USER,
            Self::TIME,
        ];
        Self(all.iter().fold(0, |sum, kind| sum | kind.0) & bits)
    }

    /// The `CLONE_NEW*` bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether every kind of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without the kinds of `other`.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether no kind is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Namespaces {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Namespaces {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Joins the namespaces behind `fd`: one of `/proc/PID/ns/*`, or a pidfd (Linux 5.8) for several kinds at once.
///
/// `setns(2)`. `kinds` says what is expected behind the descriptor; empty takes whatever a namespace file names.
pub fn enter(fd: impl AsFd, kinds: Namespaces) -> io::Result<()> {
    // SAFETY: takes two integers; the caller's memory is not touched.
    check(unsafe { libc::setns(fd.as_fd().as_raw_fd(), kinds.bits() as i32) }).map(drop)
}

/// Moves the caller into new namespaces of these kinds (`unshare(2)`); for PID and time, its later children.
pub fn unshare(kinds: Namespaces) -> io::Result<()> {
    // SAFETY: takes an integer; with namespace bits alone no descriptor table or memory is unshared.
    check(unsafe { libc::unshare(kinds.bits() as i32) }).map(drop)
}

/// Gives the calling thread a root and a working directory of its own (`unshare(2)` with `CLONE_FS`), without which it
/// cannot join another mount namespace.
pub fn unshare_root() -> io::Result<()> {
    // SAFETY: takes an integer; only what paths are relative to is copied.
    check(unsafe { libc::unshare(libc::CLONE_FS) }).map(drop)
}
