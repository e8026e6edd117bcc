//! A container's folder: where its changes go. One that was left clean serves the next container.
//!
//! ```text
//! <root>/containers/<id>/{upper,work}
//! <root>/spare/<n>/{upper,work}        clean ones; none survives the engine's start
//! <root>/ground/                       the lowest layer of every root: where the engine mounts things
//! ```
//! Making and removing directories is dear on file systems that do not reuse a deleted inode at once (ext4 without a
//! journal looks at each one deleted in the last five seconds): a container that wrote nothing costs none.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use proa_kernel::remove::remove_tree;
use rustix::fs::{Mode, OFlags, Timestamps};
use rustix::time::Timespec;

use crate::engine::lock;

/// More are not kept.
const MOST: usize = 32;

/// Where mounts are made in every container, in an image that has no such place too.
const PLACES: &[&str] = &["proc", "sys", "dev", "etc"];
const FILES: &[&str] = &["etc/hostname", "etc/hosts", "etc/resolv.conf"];

/// Folders that are ready for a container.
#[derive(Debug)]
pub(crate) struct Spares {
    place: PathBuf,
    ready: Mutex<Vec<PathBuf>>,
    next: AtomicU64,
}

impl Spares {
    /// Begins with none.
    pub(crate) fn open(place: PathBuf) -> io::Result<Self> {
        remove_tree(&place)?;
        fs::create_dir_all(&place)?;
        Ok(Spares {
            place,
            ready: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Makes a container's folder.
    pub(crate) fn furnish(&self, folder: &Path) -> io::Result<()> {
        let spare = lock(&self.ready).pop();
        if let Some(spare) = spare {
            match rustix::fs::rename(&spare, folder) {
                Ok(()) => return Ok(()),
                // Somebody took it away: make one.
                Err(rustix::io::Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        make(folder)
    }

    /// Takes a container's folder out of sight. Whoever has its overlay mounted may still be about.
    pub(crate) fn retire(&self, folder: &Path) -> io::Result<PathBuf> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let spare = self.place.join(number.to_string());
        match rustix::fs::rename(folder, &spare) {
            // Nobody made one.
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(spare),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Keeps a retired folder that nobody has mounted any more if nothing was ever put into it, else removes it.
    pub(crate) fn settle(&self, spare: PathBuf) -> io::Result<()> {
        if lock(&self.ready).len() < MOST && is_clean(&spare).unwrap_or(false) {
            lock(&self.ready).push(spare);
            return Ok(());
        }
        remove_tree(&spare)
    }
}

/// The lowest layer of every root, made where it is missing.
pub(crate) fn make_ground(ground: &Path) -> io::Result<()> {
    for place in PLACES {
        let place = ground.join(place);
        fs::create_dir_all(&place)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    }
    for file in FILES {
        let mut options = fs::OpenOptions::new();
        options.append(true).create(true).mode(0o644);
        options.open(ground.join(file))?;
    }
    // What programs of old read the mounts from.
    match std::os::unix::fs::symlink("/proc/mounts", ground.join("etc/mtab")) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn make(folder: &Path) -> io::Result<()> {
    rustix::fs::mkdir(folder, Mode::from_raw_mode(0o700))?;
    let opened = rustix::fs::open(
        folder,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    // The upper directory's mode is the container's root's.
    for (name, mode) in [("upper", 0o755), ("work", 0o700)] {
        rustix::fs::mkdirat(&opened, name, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

/// Whether a folder is as [`make`] makes it, but for files beside `upper` and `work`, which are removed, and for the
/// empty directory that overlayfs works in.
fn is_clean(folder: &Path) -> io::Result<bool> {
    let upper = folder.join("upper");
    if !is_untouched(&upper)? || !is_empty(&upper)? || !only_scratch(&folder.join("work"))? {
        return Ok(false);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match (entry.file_name().to_str(), entry.file_type()?.is_dir()) {
            (Some("upper" | "work"), true) => {}
            (_, true) => return Ok(false),
            (_, false) => fs::remove_file(entry.path())?,
        }
    }
    // The root of the next container is not older than it.
    rustix::fs::utimensat(
        rustix::fs::CWD,
        &upper,
        &now(),
        rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
    )?;
    Ok(true)
}

/// Overlayfs leaves one empty directory there, and a mark if the mount was volatile.
fn only_scratch(work: &Path) -> io::Result<bool> {
    for mark in ["incompat/volatile", "incompat"] {
        match fs::remove_dir(work.join(mark)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for entry in fs::read_dir(work)? {
        let entry = entry?;
        if entry.file_name() != "work" || !is_empty(&entry.path())? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_empty(directory: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(directory)?.next().is_none())
}

/// Owner, mode and attributes are those of a new one. Overlayfs marks a directory as impure, merged from one
/// elsewhere, opaque: none of them is for the next container to have.
fn is_untouched(upper: &Path) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(upper)?;
    let plain = metadata.is_dir()
        && (metadata.uid(), metadata.gid()) == (0, 0)
        && metadata.mode() & 0o7777 == 0o755;
    Ok(plain && rustix::fs::llistxattr_query(upper)? == 0)
}

fn now() -> Timestamps {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_NOW,
    };
    Timestamps {
        last_access: now,
        last_modification: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(dir: &tempfile::TempDir, name: &str) -> PathBuf {
        dir.path().join(name)
    }

    #[test]
    fn a_clean_folder_serves_again() {
        let dir = tempfile::tempdir().unwrap();
        let spares = Spares::open(at(&dir, "spare")).unwrap();
        let one = at(&dir, "one");
        spares.furnish(&one).unwrap();
        let inode = fs::metadata(one.join("upper")).unwrap().ino();
        fs::create_dir(one.join("work/work")).unwrap();
        fs::write(one.join("one-json.log"), "line\n").unwrap();
        fs::create_dir_all(one.join("work/incompat/volatile")).unwrap();
        spares.settle(spares.retire(&one).unwrap()).unwrap();
        assert!(!one.exists());
        let two = at(&dir, "two");
        spares.furnish(&two).unwrap();
        assert_eq!(fs::metadata(two.join("upper")).unwrap().ino(), inode);
        assert!(!two.join("one-json.log").exists());
        assert!(!two.join("work/incompat").exists());
    }

    #[test]
    fn what_was_touched_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let spares = Spares::open(at(&dir, "spare")).unwrap();
        let touch: [fn(&Path); 6] = [
            |folder| fs::write(folder.join("upper/file"), "").unwrap(),
            |folder| fs::create_dir_all(folder.join("work/work/left")).unwrap(),
            |folder| fs::create_dir(folder.join("other")).unwrap(),
            |folder| std::os::unix::fs::chown(folder.join("upper"), Some(7), None).unwrap(),
            |folder| {
                let flags = rustix::fs::XattrFlags::empty();
                rustix::fs::setxattr(folder.join("upper"), "user.a", b"b", flags).unwrap();
            },
            |folder| {
                let mode = fs::Permissions::from_mode(0o1777);
                fs::set_permissions(folder.join("upper"), mode).unwrap();
            },
        ];
        for touch in touch {
            let folder = at(&dir, "folder");
            spares.furnish(&folder).unwrap();
            touch(&folder);
            let spare = spares.retire(&folder).unwrap();
            spares.settle(spare.clone()).unwrap();
            assert!(!folder.exists() && !spare.exists());
            assert!(lock(&spares.ready).is_empty());
        }
    }
}
