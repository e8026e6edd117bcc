//! The first use of a volume: what the image has at that place is copied into it.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid};

use crate::rootfs::Found;

/// Copies the directory `from` (as the container would see it) into the empty directory `to`.
///
/// A directory that holds something already is left as it is: the volume was used before.
pub(crate) fn fill(from: &Found, to: &Path) -> io::Result<()> {
    if fs::read_dir(to)?.next().is_some() {
        return Ok(());
    }
    if from.metadata.is_dir() {
        copy_directory(from, to)?;
    }
    Ok(())
}

fn copy_directory(from: &Found, to: &Path) -> io::Result<()> {
    for (name, child) in from.children()? {
        copy(&child, &to.join(name))?;
    }
    copy_attributes(from, to)
}

fn copy(from: &Found, to: &Path) -> io::Result<()> {
    let kind = from.metadata.file_type();
    if kind.is_dir() {
        fs::create_dir(to)?;
        return copy_directory(from, to);
    }
    if kind.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(&from.path)?, to)?;
    } else if kind.is_file() {
        // Shares blocks where the file system can.
        fs::copy(&from.path, to)?;
    } else {
        let node = if kind.is_char_device() {
            FileType::CharacterDevice
        } else if kind.is_block_device() {
            FileType::BlockDevice
        } else if kind.is_fifo() {
            FileType::Fifo
        } else {
            FileType::Socket
        };
        rustix::fs::mknodat(
            CWD,
            to,
            node,
            Mode::from_raw_mode(from.metadata.mode() & 0o7777),
            from.metadata.rdev(),
        )?;
    }
    copy_attributes(from, to)
}

/// Owner, extended attributes, mode, times: in the order in which one does not undo another.
fn copy_attributes(from: &Found, to: &Path) -> io::Result<()> {
    let old = &from.metadata;
    let owner = (Uid::from_raw(old.uid()), Gid::from_raw(old.gid()));
    rustix::fs::chownat(
        CWD,
        to,
        Some(owner.0),
        Some(owner.1),
        AtFlags::SYMLINK_NOFOLLOW,
    )?;
    copy_xattrs(&from.path, to)?;
    if !old.is_symlink() {
        rustix::fs::chmod(to, Mode::from_raw_mode(old.mode() & 0o7777))?;
    }
    let time = |seconds, nanoseconds| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time(old.atime(), old.atime_nsec()),
        last_modification: time(old.mtime(), old.mtime_nsec()),
    };
    rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn copy_xattrs(from: &Path, to: &Path) -> io::Result<()> {
    let mut names = vec![0; 64 * 1024];
    let length = match rustix::fs::llistxattr(from, &mut names[..]) {
        Ok(length) => length,
        // A file system without them.
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(()),
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
        rustix::fs::lsetxattr(to, name, &value[..length], rustix::fs::XattrFlags::empty())?;
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
        rustix::fs::chmod(at("top/data"), Mode::from_raw_mode(0o1777)).unwrap();
        let layers = Layers::new([at("top"), at("bottom")]);
        let from = layers.find(Path::new("/data")).unwrap().unwrap();
        fs::create_dir(at("volume")).unwrap();
        fill(&from, &at("volume")).unwrap();
        assert_eq!(fs::read_to_string(at("volume/file")).unwrap(), "below");
        assert_eq!(fs::read_to_string(at("volume/sub/file")).unwrap(), "above");
        assert_eq!(fs::metadata(at("volume")).unwrap().mode() & 0o7777, 0o1777);

        fs::remove_file(at("volume/file")).unwrap();
        fill(&from, &at("volume")).unwrap();
        assert!(!at("volume/file").exists(), "a volume in use is left alone");
    }
}
