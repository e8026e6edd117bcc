//! Paths of a container resolved inside its root: whatever symbolic links an image holds, nothing outside is reached.
//!
//! `openat2(2)` with `RESOLVE_IN_ROOT` (Linux 5.6): `..` and absolute links stop at the root, magic links are refused.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Opens `path` inside `root`. The kernel asks for a retry (`EAGAIN`) when something is renamed meanwhile.
pub fn open_in(root: impl AsFd, path: impl Arg, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    open_with(root.as_fd(), &path.into_c_str()?, flags, mode, IN_ROOT)
}

/// The same, failing with `ELOOP` if any part of `path` is a symbolic link.
pub fn open_plain(root: impl AsFd, path: impl Arg, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = IN_ROOT | ResolveFlags::NO_SYMLINKS;
    open_with(
        root.as_fd(),
        &path.into_c_str()?,
        flags,
        Mode::empty(),
        resolve,
    )
}

fn open_with(
    root: BorrowedFd<'_>,
    path: &std::ffi::CStr,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> io::Result<OwnedFd> {
    const TRIES: usize = 32;
    for _ in 0..TRIES {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
    Err(Errno::AGAIN.into())
}

/// Refers to `path` inside `root` without opening it: what mounts are placed on and made from.
pub fn locate(root: impl AsFd, path: impl Arg) -> io::Result<OwnedFd> {
    open_in(root, path, OFlags::PATH, Mode::empty())
}

/// What is to be found or made at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// An empty regular file.
    File,
}

/// [`locate`], making what is missing: directories 0755 on the way and, at the end, what `kind` says.
pub fn locate_or_make(root: impl AsFd, path: &Path, kind: Kind) -> io::Result<OwnedFd> {
    let root = root.as_fd();
    match locate(root, path) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
        found => return found,
    }
    let (parent, name) = split(path)?;
    let parent = make_directories(root, &parent)?;
    match kind {
        Kind::Directory => ignore_exists(rustix::fs::mkdirat(
            &parent,
            name,
            Mode::from_bits_retain(0o755),
        ))?,
        Kind::File => ignore_exists(
            rustix::fs::openat(
                &parent,
                name,
                OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC,
                Mode::from_bits_retain(0o644),
            )
            .map(drop),
        )?,
    }
    // A dangling link at the end is found here again and gives ENOENT: its target is not made up.
    locate(root, path)
}

/// `mkdir -p` inside `root`; a descriptor of the last directory.
pub fn make_directories(root: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let root = root.as_fd();
    match locate(root, dot_if_empty(path)) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
        found => return found,
    }
    let (parent, name) = split(path)?;
    let parent = make_directories(root, &parent)?;
    ignore_exists(rustix::fs::mkdirat(
        &parent,
        name,
        Mode::from_bits_retain(0o755),
    ))?;
    locate(root, path)
}

fn dot_if_empty(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// Parent and last name of a path without `..`, relative to the root.
fn split(path: &Path) -> io::Result<(PathBuf, &std::ffi::OsStr)> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let Some(Component::Normal(name)) = path.components().next_back() else {
        return Err(invalid());
    };
    let parent = path.parent().ok_or_else(invalid)?;
    Ok((parent.to_path_buf(), name))
}

fn ignore_exists(made: Result<(), Errno>) -> io::Result<()> {
    match made {
        Err(Errno::EXIST) => Ok(()),
        other => Ok(other?),
    }
}
