//! The mount API: file systems made, cloned, changed and placed by descriptor, so that no path is walked twice.
//!
//! A new mount is *detached*: nothing sees it until [`place`] attaches it, and it is gone with its descriptor
//! otherwise. rustix has the calls; here are the few it lacks and the shapes this project uses.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::CWD;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};
use rustix::path::Arg;

use crate::sys::check_long;

/// `MOUNT_ATTR_*` bits.
pub mod attribute {
    /// Read-only.
    pub const RDONLY: u64 = 0x1;
    /// Set-user-id bits and file capabilities have no effect.
    pub const NOSUID: u64 = 0x2;
    /// Device nodes have no effect.
    pub const NODEV: u64 = 0x4;
    /// Nothing can be executed.
    pub const NOEXEC: u64 = 0x8;
    /// The three ways of keeping access times, as a mask to clear; 0 in it is `relatime`.
    pub const ATIME: u64 = 0x70;
    /// Access times are not kept.
    pub const NOATIME: u64 = 0x10;
    /// Access times are always kept.
    pub const STRICTATIME: u64 = 0x20;
    /// Access times of directories are not kept.
    pub const NODIRATIME: u64 = 0x80;
    /// Ids are mapped by a user namespace.
    pub const IDMAP: u64 = 0x10_0000;
    /// Symbolic links are not followed.
    pub const NOSYMFOLLOW: u64 = 0x20_0000;
}

/// How mounts and unmounts travel between copies of a mount (`mount_namespaces(7)`), as `MS_*` bits.
pub mod propagation {
    /// Nothing travels.
    pub const PRIVATE: u64 = libc::MS_PRIVATE;
    /// Both ways.
    pub const SHARED: u64 = libc::MS_SHARED;
    /// Only from the original.
    pub const SLAVE: u64 = libc::MS_SLAVE;
    /// Nothing travels, and it cannot be bound.
    pub const UNBINDABLE: u64 = libc::MS_UNBINDABLE;
}

/// A file system being configured (`fsopen(2)`).
#[derive(Debug)]
pub struct Configuring(OwnedFd);

impl Configuring {
    /// Starts a file system of this type.
    pub fn new(fstype: &str) -> io::Result<Self> {
        Ok(Self(rustix::mount::fsopen(
            fstype,
            FsOpenFlags::FSOPEN_CLOEXEC,
        )?))
    }

    /// Sets `key=value`; the value is at most 255 bytes.
    pub fn set(&self, key: &str, value: impl Arg) -> io::Result<()> {
        Ok(rustix::mount::fsconfig_set_string(&self.0, key, value)?)
    }

    /// Sets a key that has no value.
    pub fn set_flag(&self, key: &str) -> io::Result<()> {
        Ok(rustix::mount::fsconfig_set_flag(&self.0, key)?)
    }

    /// Sets a key to a descriptor, where the file system takes one.
    pub fn set_fd(&self, key: &str, fd: impl AsFd) -> io::Result<()> {
        Ok(rustix::mount::fsconfig_set_fd(&self.0, key, fd)?)
    }

    /// Makes the superblock and a detached mount of it with these attributes.
    pub fn mount(self, attributes: u64) -> io::Result<OwnedFd> {
        rustix::mount::fsconfig_create(&self.0)?;
        let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
        Ok(rustix::mount::fsmount(
            &self.0,
            FsMountFlags::FSMOUNT_CLOEXEC,
            attributes,
        )?)
    }

    /// What the kernel has to say about the last failure, if it says anything.
    pub fn complaint(&self) -> Option<String> {
        let mut buffer = [0; 512];
        let length = rustix::io::read(&self.0, &mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        Some(
            text.trim_start_matches(['e', 'w', 'i', ' '])
                .trim()
                .to_owned(),
        )
    }
}

/// Copies the mount at `path` beneath `dir` (the whole tree below it if `recursive`) into a detached mount.
///
/// `open_tree(2)`, Linux 5.2. An empty path means `dir` itself.
pub fn clone_tree(dir: impl AsFd, path: impl Arg, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(rustix::mount::open_tree(dir, path, flags)?)
}

/// The same for an absolute path of the caller's mount namespace.
pub fn clone_path(path: impl Arg, recursive: bool) -> io::Result<OwnedFd> {
    clone_tree(CWD, path, recursive)
}

/// Attaches a detached mount over the file or directory behind `target` (`move_mount(2)`, Linux 5.2).
pub fn place(mount: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, c"", target, c"", flags)?)
}

/// Attaches a detached mount at a path of the caller's mount namespace.
pub fn place_at(mount: impl AsFd, path: impl Arg) -> io::Result<()> {
    Ok(rustix::mount::move_mount(
        mount,
        c"",
        CWD,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}

/// A change of a mount's attributes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<'a> {
    /// [`attribute`] bits to set.
    pub set: u64,
    /// [`attribute`] bits to clear.
    pub clear: u64,
    /// One of [`propagation`], or 0 to leave it.
    pub propagation: u64,
    /// Maps ids by this user namespace.
    pub user_namespace: Option<BorrowedFd<'a>>,
}

/// Changes the mount behind `mount`, or the whole tree below it (`mount_setattr(2)`, Linux 5.12).
pub fn change(mount: impl AsFd, change: &Change<'_>, recursive: bool) -> io::Result<()> {
    let attr = MountAttr {
        set: change.set
            | if change.user_namespace.is_some() {
                attribute::IDMAP
            } else {
                0
            },
        clear: change.clear,
        propagation: change.propagation,
        user_namespace: change.user_namespace.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let raw = mount.as_fd().as_raw_fd();
    let empty: &CStr = c"";
    // SAFETY: `attr` and the path outlive the call, and the size given is that of `attr`.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            raw,
            empty.as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// `struct mount_attr` of `linux/mount.h`.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Changes how mounts travel at a path of the caller's mount namespace (`mount(2)` with `MS_PRIVATE` and so on).
pub fn set_propagation(path: &CStr, bits: u64, recursive: bool) -> io::Result<()> {
    let mut flags = rustix::mount::MountPropagationFlags::from_bits_retain(bits as u32);
    if recursive {
        flags |= rustix::mount::MountPropagationFlags::REC;
    }
    Ok(rustix::mount::mount_change(path, flags)?)
}

/// Detaches the mount at a path at once; the kernel takes it apart when nobody uses it any more.
pub fn detach(path: impl Arg) -> io::Result<()> {
    Ok(rustix::mount::unmount(
        path,
        rustix::mount::UnmountFlags::DETACH,
    )?)
}

/// Makes the directory behind `root`, which is the root of a mount, the root of the caller's mount namespace, and
/// takes the old root away. The working directory is the new root afterwards.
pub fn pivot_root(root: impl AsFd) -> io::Result<()> {
    rustix::process::fchdir(root)?;
    // The old root comes to lie over the new one, at the same place, and is what "." then unmounts.
    rustix::process::pivot_root(c".", c".")?;
    rustix::mount::unmount(c".", rustix::mount::UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir(c"/")?)
}
