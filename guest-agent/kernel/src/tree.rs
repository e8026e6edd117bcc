//! Copies directory trees by descriptor: kinds, contents, owners, extended attributes, modes and times.
//!
//! Somebody else may have the target open and change it meanwhile: no link is followed there. Depth costs neither stack
//! nor descriptors: those of far levels are closed, and the way back is `..`, which must lead where it came from.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

/// How many levels stay open.
const OPEN: usize = 64;

const PLAIN: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW);
const DIRECTORY: OFlags = PLAIN.union(OFlags::DIRECTORY);

/// Who owns a copy, from who owns the original: user and group.
pub type Owners<'a> = &'a dyn Fn(u32, u32) -> (u32, u32);

/// Copies what is in the directory `from`, and its own owner, mode and times, into the directory `to`. Copies belong to
/// whom `owners` says. Extended attributes that the target's file system does not have are left out. Files with several
/// names stay one file, holes stay holes, and blocks are shared where the file system can.
pub fn copy_tree(from: impl AsFd, to: impl AsFd, owners: Owners<'_>) -> io::Result<()> {
    let open = |fd: BorrowedFd<'_>| rustix::fs::openat(fd, c".", DIRECTORY, Mode::empty());
    let mut copying = Copying {
        top: open(to.as_fd())?,
        owners,
        linked: HashMap::new(),
    };
    let mut levels = vec![Level::new(
        open(from.as_fd())?,
        open(to.as_fd())?,
        Vec::new(),
    )?];
    while let Some(level) = levels.last_mut() {
        match level.names.pop() {
            Some(name) => {
                if let Some(below) = level.copy(&name, &mut copying)? {
                    levels.push(below);
                    if let Some(far) = levels.len().checked_sub(OPEN + 1) {
                        levels[far].open = None;
                    }
                }
            }
            None => finish(&mut levels, owners)?,
        }
    }
    Ok(())
}

/// What a copy knows all the way.
struct Copying<'a> {
    /// Where it goes.
    top: OwnedFd,
    owners: Owners<'a>,
    /// Files with several names, by device and inode: where the first copy is.
    linked: HashMap<(u64, u64), Vec<u8>>,
}

impl Copying<'_> {
    /// Gives a file that was copied already another name; `false`: it was not.
    fn link(&mut self, to: &OwnedFd, name: &CStr, path: &[u8], stat: &Stat) -> io::Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let Some(first) = self.linked.get(&(stat.st_dev, stat.st_ino)) else {
            self.linked
                .insert((stat.st_dev, stat.st_ino), path.to_vec());
            return Ok(false);
        };
        let (parent, file) = match first.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&first[..slash], &first[slash + 1..]),
            None => (&b"."[..], first.as_slice()),
        };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = OsStr::from_bytes(parent);
        let parent = rustix::fs::openat2(&self.top, parent, flags, Mode::empty(), resolve)?;
        rustix::fs::linkat(parent, OsStr::from_bytes(file), to, name, AtFlags::empty())?;
        Ok(true)
    }
}

/// The innermost directory is complete.
fn finish(levels: &mut Vec<Level>, owners: Owners<'_>) -> io::Result<()> {
    let Some(done) = levels.pop() else {
        return Ok(());
    };
    if let Some(parent) = levels.last_mut() {
        parent.reopen(&done)?;
    }
    let (from, to) = done.open()?;
    attributes(from.as_fd(), to.as_fd(), &done.stat, owners)
}

/// A directory on the way.
struct Level {
    /// The original and the copy, unless they are far up.
    open: Option<(OwnedFd, OwnedFd)>,
    /// The original's.
    stat: Stat,
    /// Which directory the copy is.
    identity: (u64, u64),
    /// What is still to be copied.
    names: Vec<CString>,
    /// Its name beneath the first one.
    path: Vec<u8>,
}

impl Level {
    fn new(from: OwnedFd, to: OwnedFd, path: Vec<u8>) -> io::Result<Self> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&from)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                names.push(name.to_owned());
            }
        }
        Ok(Self {
            stat: rustix::fs::fstat(&from)?,
            identity: identity(&to)?,
            open: Some((from, to)),
            names,
            path,
        })
    }

    fn open(&self) -> io::Result<&(OwnedFd, OwnedFd)> {
        self.open.as_ref().ok_or_else(|| Errno::BADF.into())
    }

    /// Opens it again on the way back from `below`.
    fn reopen(&mut self, below: &Level) -> io::Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        let (from, to) = below.open()?;
        let from = rustix::fs::openat(from, c"..", DIRECTORY, Mode::empty())?;
        let to = rustix::fs::openat(to, c"..", DIRECTORY, Mode::empty())?;
        if identity(&to)? != self.identity {
            // Somebody moved the copy meanwhile; nothing is to be written elsewhere.
            return Err(Errno::XDEV.into());
        }
        self.open = Some((from, to));
        Ok(())
    }

    /// Copies one entry; a directory is made, and is what to go on with.
    fn copy(&self, name: &CStr, copying: &mut Copying<'_>) -> io::Result<Option<Level>> {
        let (from, to) = self.open()?;
        let stat = match rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW) {
            // It vanished.
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        let path = match self.path.as_slice() {
            b"" => name.to_bytes().to_vec(),
            path => [path, b"/", name.to_bytes()].concat(),
        };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !is_directory && copying.link(to, name, &path, &stat)? {
            return Ok(None);
        }
        let owners = copying.owners;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::RWXU)?;
                let below = rustix::fs::openat(from, name, DIRECTORY, Mode::empty())?;
                let made = rustix::fs::openat(to, name, DIRECTORY, Mode::empty())?;
                return Level::new(below, made, path).map(Some);
            }
            FileType::RegularFile => {
                let flags = PLAIN | OFlags::RDONLY | OFlags::NONBLOCK;
                let mut source = File::from(rustix::fs::openat(from, name, flags, Mode::empty())?);
                let flags = PLAIN | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                let mode = Mode::RUSR | Mode::WUSR;
                let mut made = File::from(rustix::fs::openat(to, name, flags, mode)?);
                content(&mut source, &mut made)?;
                attributes(source.as_fd(), made.as_fd(), &stat, owners)?;
            }
            kind => node((from, to), name, kind, &stat, owners)?,
        }
        Ok(None)
    }
}

/// Shared blocks, or the pieces that are not holes.
fn content(from: &mut File, to: &mut File) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(&*to, &*from).is_ok() {
        return Ok(());
    }
    let size = from.metadata()?.len();
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(&*from, rustix::fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            // A file system that does not tell.
            Err(_) => at,
        };
        let end = rustix::fs::seek(&*from, rustix::fs::SeekFrom::Hole(start)).unwrap_or(size);
        from.seek(SeekFrom::Start(start))?;
        to.seek(SeekFrom::Start(start))?;
        if end <= start || io::copy(&mut (&*from).take(end - start), to)? == 0 {
            break;
        }
        at = end;
    }
    to.set_len(size)
}

fn identity(directory: &OwnedFd) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(directory)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// A link, a device, a FIFO or a socket.
fn node(
    (from, to): (&OwnedFd, &OwnedFd),
    name: &CStr,
    kind: FileType,
    stat: &Stat,
    owners: Owners<'_>,
) -> io::Result<()> {
    if kind == FileType::Symlink {
        let link = rustix::fs::readlinkat(from, name, Vec::new())?;
        rustix::fs::symlinkat(&link, to, name)?;
    } else {
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        rustix::fs::mknodat(to, name, kind, mode, stat.st_rdev)?;
    }
    let source = rustix::fs::openat(from, name, PLAIN | OFlags::PATH, Mode::empty())?;
    let made = rustix::fs::openat(to, name, PLAIN | OFlags::PATH, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&made)?.st_mode) != kind {
        // Somebody else's, put there since.
        return Err(Errno::EXIST.into());
    }
    attributes(source.as_fd(), made.as_fd(), stat, owners)
}

/// Owner, extended attributes, mode, times: in the order in which one does not undo another.
fn attributes(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    stat: &Stat,
    owners: Owners<'_>,
) -> io::Result<()> {
    let (uid, gid) = owners(stat.st_uid, stat.st_gid);
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::fs::chownat(to, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    // The file behind a descriptor, which may be one that was not opened for anything.
    let path = |fd: BorrowedFd<'_>| format!("/proc/self/fd/{}", fd.as_raw_fd());
    copy_xattrs(&path(from), &path(to))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        rustix::fs::chmod(path(to), mode)?;
    }
    Ok(rustix::fs::utimensat(
        to,
        c"",
        &times(stat),
        AtFlags::EMPTY_PATH,
    )?)
}

fn copy_xattrs(from: &str, to: &str) -> io::Result<()> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::listxattr(from, &mut names[..]) {
        Ok(length) => length,
        // A file system without them.
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let names = names[..length].split(|byte| *byte == 0);
    for name in names.filter(|name| !name.is_empty() && *name != b"security.selinux") {
        let mut value = vec![0; 64 << 10];
        let length = rustix::fs::getxattr(from, name, &mut value[..])?;
        match rustix::fs::setxattr(to, name, &value[..length], XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the types differ between architectures"
)]
fn times(stat: &Stat) -> Timestamps {
    let time = |seconds: i64, nanoseconds: u64| rustix::fs::Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds as i64,
    };
    Timestamps {
        last_access: time(stat.st_atime as i64, stat.st_atime_nsec as u64),
        last_modification: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, lchown, symlink};
    use std::path::Path;

    use super::*;

    fn copy(from: &Path, to: &Path, owners: Owners<'_>) -> io::Result<()> {
        copy_tree(File::open(from)?, File::open(to)?, owners)
    }

    #[test]
    fn everything_about_a_file_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("from/sub")).unwrap();
        fs::create_dir(at("to")).unwrap();
        fs::write(at("from/sub/file"), "text").unwrap();
        rustix::fs::chmod(at("from/sub/file"), Mode::from_raw_mode(0o4755)).unwrap();
        lchown(at("from/sub/file"), Some(5), Some(6)).unwrap();
        rustix::fs::chmod(at("from/sub/file"), Mode::from_raw_mode(0o4755)).unwrap();
        rustix::fs::chmod(at("from/sub"), Mode::from_raw_mode(0o1777)).unwrap();
        symlink("/outside", at("from/link")).unwrap();
        lchown(at("from/link"), Some(7), Some(8)).unwrap();
        rustix::fs::lsetxattr(
            at("from/link"),
            "trusted.proa",
            b"x",
            rustix::fs::XattrFlags::empty(),
        )
        .unwrap();
        let mode = Mode::from_raw_mode(0o622);
        rustix::fs::mknodat(rustix::fs::CWD, at("from/fifo"), FileType::Fifo, mode, 0).unwrap();
        rustix::fs::chmod(at("from/fifo"), mode).unwrap();
        fs::hard_link(at("from/sub/file"), at("from/again")).unwrap();
        let hole = File::create(at("from/hole")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&hole, b"end", 8 << 20).unwrap();
        copy(&at("from"), &at("to"), &|uid, gid| (uid + 1000, gid + 2000)).unwrap();

        let look = |name: &str| fs::symlink_metadata(at(name)).unwrap();
        let file = look("to/sub/file");
        assert_eq!(fs::read_to_string(at("to/sub/file")).unwrap(), "text");
        assert_eq!(
            (file.uid(), file.gid(), file.mode() & 0o7777),
            (1005, 2006, 0o4755)
        );
        assert_eq!(file.ino(), look("to/again").ino());
        assert_eq!(look("to/hole").len(), (8 << 20) + 3);
        assert!(look("to/hole").blocks() < 1000, "holes stay holes");
        assert_eq!(look("to/sub").mode() & 0o7777, 0o1777);
        assert_eq!(look("to/sub").mtime_nsec(), look("from/sub").mtime_nsec());
        assert_eq!((look("to/link").uid(), look("to/link").gid()), (1007, 2008));
        assert_eq!(look("to/link").mtime_nsec(), look("from/link").mtime_nsec());
        let mut value = [0; 1];
        let found = rustix::fs::lgetxattr(at("to/link"), "trusted.proa", &mut value);
        assert_eq!(found, Ok(1));
        assert!(look("to/fifo").file_type().is_fifo());
        assert_eq!(look("to/fifo").mode() & 0o7777, 0o622);
    }

    #[test]
    fn depth_costs_neither_stack_nor_descriptors() {
        const DEPTH: usize = 3000;
        let dir = tempfile::tempdir().unwrap();
        for name in ["from", "to"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let open = |fd: &OwnedFd, name: &CStr| {
            rustix::fs::openat(fd, name, DIRECTORY, Mode::empty()).unwrap()
        };
        let mut here = OwnedFd::from(File::open(dir.path().join("from")).unwrap());
        for _ in 0..DEPTH {
            rustix::fs::mkdirat(&here, c"d", Mode::RWXU).unwrap();
            here = open(&here, c"d");
        }
        rustix::fs::mkdirat(&here, c"end", Mode::RWXU).unwrap();
        // Walked far enough for a copy that recursed to run out of this.
        let copied = std::thread::Builder::new()
            .stack_size(128 << 10)
            .spawn({
                let root = dir.path().to_owned();
                move || copy(&root.join("from"), &root.join("to"), &|uid, gid| (uid, gid))
            })
            .unwrap()
            .join()
            .unwrap();
        copied.unwrap();
        let mut here = OwnedFd::from(File::open(dir.path().join("to")).unwrap());
        for _ in 0..DEPTH {
            here = open(&here, c"d");
        }
        open(&here, c"end");
        crate::remove::remove_tree(&dir.path().join("from")).unwrap();
        crate::remove::remove_tree(&dir.path().join("to")).unwrap();
    }
}
