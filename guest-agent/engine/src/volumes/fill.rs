//! The first use of a volume: what the image has at that place is copied into it.
//!
//! A container that has the volume already may change it meanwhile, so everything is made by descriptor: no link that it
//! puts there is followed.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};

use crate::rootfs::Found;

/// How many folders may be inside one another; each costs a descriptor while it is copied.
const DEEPEST: u32 = 256;

const OPEN: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW);
const DIRECTORY: OFlags = OPEN.union(OFlags::DIRECTORY);

/// Copies the directory `from` (as the container would see it) into the empty directory `to`.
///
/// A directory that holds something already is left as it is: the volume was used before.
pub(crate) fn fill(from: &Found, to: &Path) -> io::Result<()> {
    if fs::read_dir(to)?.next().is_some() {
        return Ok(());
    }
    if from.metadata.is_dir() {
        let to = rustix::fs::open(to, DIRECTORY, Mode::empty())?;
        copy_directory(from, &to, 0)?;
    }
    Ok(())
}

fn copy_directory(from: &Found, to: &OwnedFd, depth: u32) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(Errno::LOOP.into());
    }
    for (name, child) in from.children()? {
        copy(&child, to, &name, depth)?;
    }
    copy_attributes(from, to.as_fd())
}

fn copy(from: &Found, to: &OwnedFd, name: &OsStr, depth: u32) -> io::Result<()> {
    let kind = kind(from);
    match kind {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, Mode::RWXU)?;
            let made = rustix::fs::openat(to, name, DIRECTORY, Mode::empty())?;
            return copy_directory(from, &made, depth + 1);
        }
        FileType::RegularFile => {
            let made = copy_content(from, to, name)?;
            return copy_attributes(from, made.as_fd());
        }
        FileType::Symlink => rustix::fs::symlinkat(fs::read_link(&from.path)?, to, name)?,
        kind => {
            let mode = Mode::from_raw_mode(from.metadata.mode() & 0o7777);
            rustix::fs::mknodat(to, name, kind, mode, from.metadata.rdev())?;
        }
    }
    let made = rustix::fs::openat(to, name, OPEN | OFlags::PATH, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&made)?.st_mode) != kind {
        // Somebody else's, put there since.
        return Err(Errno::EXIST.into());
    }
    copy_attributes(from, made.as_fd())
}

fn kind(from: &Found) -> FileType {
    let kind = from.metadata.file_type();
    if kind.is_dir() {
        FileType::Directory
    } else if kind.is_symlink() {
        FileType::Symlink
    } else if kind.is_file() {
        FileType::RegularFile
    } else if kind.is_char_device() {
        FileType::CharacterDevice
    } else if kind.is_block_device() {
        FileType::BlockDevice
    } else if kind.is_fifo() {
        FileType::Fifo
    } else {
        FileType::Socket
    }
}

fn copy_content(from: &Found, to: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let flags = OPEN | OFlags::RDONLY | OFlags::NONBLOCK;
    let mut source = File::from(rustix::fs::open(&from.path, flags, Mode::empty())?);
    let flags = OPEN | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let made = rustix::fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?;
    let mut made = File::from(made);
    // Shares blocks where the file system can.
    io::copy(&mut source, &mut made)?;
    Ok(made)
}

/// Owner, extended attributes, mode, times: in the order in which one does not undo another.
fn copy_attributes(from: &Found, to: BorrowedFd<'_>) -> io::Result<()> {
    let old = &from.metadata;
    let owner = (Uid::from_raw(old.uid()), Gid::from_raw(old.gid()));
    let itself = AtFlags::EMPTY_PATH;
    rustix::fs::chownat(to, c"", Some(owner.0), Some(owner.1), itself)?;
    // The file behind the descriptor, which may be one that was not opened for anything.
    let path = format!("/proc/self/fd/{}", to.as_raw_fd());
    copy_xattrs(&from.path, &path)?;
    if !old.is_symlink() {
        rustix::fs::chmod(&path, Mode::from_raw_mode(old.mode() & 0o7777))?;
    }
    let time = |seconds, nanoseconds| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time(old.atime(), old.atime_nsec()),
        last_modification: time(old.mtime(), old.mtime_nsec()),
    };
    Ok(rustix::fs::utimensat(to, c"", &times, itself)?)
}

fn copy_xattrs(from: &Path, to: &str) -> io::Result<()> {
    let mut names = vec![0; 64 * 1024];
    let length = match rustix::fs::llistxattr(from, &mut names[..]) {
        Ok(length) => length,
        // A file system without them.
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        if name.starts_with(b"trusted.overlay.") {
            continue;
        }
        let mut value = vec![0; 64 * 1024];
        let length = rustix::fs::lgetxattr(from, name, &mut value[..])?;
        rustix::fs::setxattr(to, name, &value[..length], XattrFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::Layers;

    #[test]
    fn a_new_volume_gets_what_the_image_has_there() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("top/data/sub")).unwrap();
        fs::create_dir_all(at("bottom/data")).unwrap();
        fs::write(at("bottom/data/file"), "below").unwrap();
        fs::write(at("top/data/sub/file"), "above").unwrap();
        std::os::unix::fs::symlink("/outside", at("bottom/data/link")).unwrap();
        let (fifo, mode) = (at("bottom/data/fifo"), Mode::from_raw_mode(0o622));
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        rustix::fs::chmod(&fifo, mode).unwrap();
        std::os::unix::fs::lchown(at("bottom/data/link"), Some(7), Some(8)).unwrap();
        let value = XattrFlags::empty();
        rustix::fs::lsetxattr(at("bottom/data/link"), "trusted.proa", b"x", value).unwrap();
        rustix::fs::chmod(at("top/data"), Mode::from_raw_mode(0o1777)).unwrap();
        let layers = Layers::new([at("top"), at("bottom")]);
        let from = layers.find(Path::new("/data")).unwrap().unwrap();
        fs::create_dir(at("volume")).unwrap();
        fill(&from, &at("volume")).unwrap();
        assert_eq!(fs::read_to_string(at("volume/file")).unwrap(), "below");
        assert_eq!(fs::read_to_string(at("volume/sub/file")).unwrap(), "above");
        assert_eq!(fs::metadata(at("volume")).unwrap().mode() & 0o7777, 0o1777);
        let fifo = fs::symlink_metadata(at("volume/fifo")).unwrap();
        assert!(fifo.file_type().is_fifo() && fifo.mode() & 0o7777 == 0o622);
        let link = fs::symlink_metadata(at("volume/link")).unwrap();
        assert!(link.is_symlink() && (link.uid(), link.gid()) == (7, 8));
        let mut value = [0; 1];
        assert_eq!(
            rustix::fs::lgetxattr(at("volume/link"), "trusted.proa", &mut value),
            Ok(1)
        );
        let old = fs::symlink_metadata(at("bottom/data/link")).unwrap();
        assert_eq!(link.mtime_nsec(), old.mtime_nsec());

        fs::remove_file(at("volume/file")).unwrap();
        fill(&from, &at("volume")).unwrap();
        assert!(!at("volume/file").exists(), "a volume in use is left alone");
    }
}
