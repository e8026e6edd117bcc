//! From a tar stream to files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use proa_kernel::remove::remove_tree;
use proa_kernel::resolve;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, StatxAttributes, StatxFlags, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::pack::{by_number, look};
use super::{FilesError, IdShift, inflated};
use crate::layer::{clean, kept_xattrs, timestamps};
use crate::tar::{Entry, Kind, Reader, TarError};

/// Where files are put, and how.
#[derive(Clone, Debug, Default)]
pub struct UnpackOptions {
    /// The directory, beneath the root; its links are resolved there.
    pub place: PathBuf,
    /// A directory is not replaced by something else, nor the other way round.
    pub keep_kinds: bool,
    /// Everything belongs to this user and group.
    pub owner: Option<(u32, u32)>,
    /// The directory itself becomes what the stream says of it.
    pub top: bool,
    /// The root's ids are those of this user namespace.
    pub ids: Option<IdShift>,
}

/// Unpacks a tar stream, compressed or not, into a directory beneath `root`. Files appear whole or not at all: what a
/// stream that breaks off has begun is taken back, and what it would have replaced is still there.
pub fn unpack(
    from: impl Read,
    root: BorrowedFd<'_>,
    options: &UnpackOptions,
) -> Result<(), FilesError> {
    let mut reader = Reader::new(inflated(from)?, ());
    let mut unpacking = Unpacking {
        root,
        options,
        last: None,
        times: BTreeMap::new(),
        drafts: 0,
    };
    let outcome = loop {
        match reader.next() {
            Ok(Some(entry)) => {
                if let Err(error) = unpacking.entry(&entry, &mut reader) {
                    break Err(error);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
    };
    outcome.and(unpacking.set_times())
}

struct Unpacking<'a> {
    root: BorrowedFd<'a>,
    options: &'a UnpackOptions,
    /// The last parent: archives list a directory's files together.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Directories' times, set last because making files changes them.
    times: BTreeMap<Vec<u8>, (i64, u32)>,
    drafts: u32,
}

/// Why one entry failed; the caller knows which.
enum Fault {
    Io(io::Error),
    Tar(TarError),
    Owner(u32),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Fault {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<TarError> for Fault {
    fn from(error: TarError) -> Self {
        Self::Tar(error)
    }
}

impl Fault {
    fn on(self, name: &[u8]) -> FilesError {
        let name = String::from_utf8_lossy(name).into_owned();
        match self {
            Self::Io(source) => FilesError::Entry { name, source },
            Self::Tar(error) => error.into(),
            Self::Owner(id) => FilesError::Owner { name, id },
        }
    }
}

type Source<'s> = Reader<Box<dyn BufRead + 's>, ()>;

impl Unpacking<'_> {
    fn entry(&mut self, entry: &Entry, reader: &mut Source<'_>) -> Result<(), FilesError> {
        let path = clean(&entry.path).ok_or_else(|| self.outside(&entry.path))?;
        if path.is_empty() {
            // The directory itself, which is there.
            return self.top(entry).map_err(|fault| fault.on(&entry.path));
        }
        let link = match entry.kind {
            Kind::HardLink => {
                let link = clean(&entry.link).filter(|link| !link.is_empty());
                Some(link.ok_or_else(|| self.outside(&entry.link))?)
            }
            _ => None,
        };
        let (parent, name) = split(&path);
        let dir = self.parent(parent).map_err(|fault| fault.on(&entry.path))?;
        let name = OsStr::from_bytes(name);
        let there = look(&dir, name).map_err(|errno| Fault::from(errno).on(&entry.path))?;
        self.check_kinds(&path, there.as_ref(), entry)?;
        let dir = dir.as_fd();
        if there.is_some() && entry.kind != Kind::Directory && is_mount(dir, name) {
            let path = self.options.place.join(OsStr::from_bytes(&path));
            return Err(FilesError::Mounted {
                path: path.display().to_string(),
            });
        }
        let made = match (entry.kind, link) {
            (Kind::Directory, _) => self.directory(dir, name, there, entry, &path),
            (Kind::File, _) => self.file(dir, name, there, entry, reader),
            (_, Some(link)) => self.hard_link(dir, name, there, &path, &link),
            (_, None) => self.node(dir, name, there, entry),
        };
        made.map_err(|fault| fault.on(&entry.path))
    }

    fn top(&mut self, entry: &Entry) -> Result<(), Fault> {
        if !self.options.top || entry.kind != Kind::Directory {
            return Ok(());
        }
        let top = self.open(b"")?;
        let number = by_number(top.as_fd());
        let (uid, gid) = self.owner_of((entry.uid, entry.gid))?;
        rustix::fs::chown(&number, Some(uid), Some(gid))?;
        adorn(&number, entry)?;
        self.times.insert(Vec::new(), entry.mtime);
        Ok(())
    }

    fn outside(&self, name: &[u8]) -> FilesError {
        FilesError::Outside {
            name: String::from_utf8_lossy(name).into_owned(),
            place: self.options.place.display().to_string(),
        }
    }

    /// Whether what is there may be replaced.
    fn check_kinds(
        &self,
        path: &[u8],
        there: Option<&Stat>,
        entry: &Entry,
    ) -> Result<(), FilesError> {
        let Some(there) = there.filter(|_| self.options.keep_kinds) else {
            return Ok(());
        };
        let place = self.options.place.display().to_string();
        let path = self.options.place.join(OsStr::from_bytes(path));
        let path = path.display().to_string();
        match (is_directory(there), entry.kind == Kind::Directory) {
            (true, false) => Err(FilesError::OverDirectory { path, place }),
            (false, true) => Err(FilesError::OverFile { path, place }),
            _ => Ok(()),
        }
    }

    /// The directory at a cleaned path, made if it is not there.
    fn parent(&mut self, path: &[u8]) -> Result<OwnedFd, Fault> {
        let again = |fd: &OwnedFd| fd.try_clone();
        if let Some((last, fd)) = &self.last
            && last == path
        {
            return Ok(again(fd)?);
        }
        let fd = self.open_or_make(path)?;
        let copy = again(&fd)?;
        self.last = Some((path.to_vec(), fd));
        Ok(copy)
    }

    fn open(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let path = self.options.place.join(OsStr::from_bytes(path));
        resolve::open_in(self.root, path, flags, Mode::empty())
    }

    fn open_or_make(&self, path: &[u8]) -> Result<OwnedFd, Fault> {
        match self.open(path) {
            Err(error) if is(&error, Errno::NOENT) && !path.is_empty() => {}
            other => return Ok(other?),
        }
        // From the top: whatever is missing, one directory after the other.
        let mut at = 0;
        let mut dir = self.open(b"")?;
        while at < path.len() {
            let end = path[at..].iter().position(|byte| *byte == b'/');
            let end = end.map_or(path.len(), |length| at + length);
            let name = OsStr::from_bytes(&path[at..end]);
            dir = match self.open(&path[..end]) {
                Err(error) if is(&error, Errno::NOENT) => {
                    rustix::fs::mkdirat(&dir, name, Mode::from_raw_mode(0o755))?;
                    self.own(dir.as_fd(), name, (0, 0))?;
                    rustix::fs::chmodat(&dir, name, Mode::from_raw_mode(0o755), AtFlags::empty())?;
                    self.open(&path[..end])?
                }
                other => other?,
            };
            at = end + 1;
        }
        Ok(dir)
    }

    fn directory(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        there: Option<Stat>,
        entry: &Entry,
        path: &[u8],
    ) -> Result<(), Fault> {
        if !there.as_ref().is_some_and(is_directory) {
            self.clear(dir, name, there)?;
            rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o700))?;
        }
        self.attributes(dir, name, entry)?;
        self.times.insert(path.to_vec(), entry.mtime);
        Ok(())
    }

    /// Written beside its place first.
    fn file(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        there: Option<Stat>,
        entry: &Entry,
        reader: &mut Source<'_>,
    ) -> Result<(), Fault> {
        let (draft, file) = self.draft(dir)?;
        let written = write(&file, entry, reader)
            .and_then(|()| self.attributes(dir, draft.as_ref(), entry))
            .and_then(|()| Ok(rustix::fs::futimens(&file, &timestamps(entry.mtime))?))
            .and_then(|()| match there {
                Some(there) if is_directory(&there) => self.clear(dir, name, Some(there)),
                _ => Ok(()),
            })
            .and_then(|()| Ok(rustix::fs::renameat(dir, draft.as_str(), dir, name)?));
        if written.is_err() {
            // The disk may be full: removing works all the same.
            let _ = rustix::fs::unlinkat(dir, draft.as_str(), AtFlags::empty());
        }
        written
    }

    fn draft(&mut self, dir: BorrowedFd<'_>) -> Result<(String, File), Fault> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            self.drafts += 1;
            let draft = format!(".proa-{}-{}.part", std::process::id(), self.drafts);
            match rustix::fs::openat(dir, draft.as_str(), flags, Mode::from_raw_mode(0o600)) {
                Err(Errno::EXIST) => {}
                other => return Ok((draft, File::from(other?))),
            }
        }
    }

    fn hard_link(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        there: Option<Stat>,
        path: &[u8],
        target: &[u8],
    ) -> Result<(), Fault> {
        if target == path {
            return Ok(());
        }
        let (parent, file) = split(target);
        let from = self.open(parent)?;
        let file = OsStr::from_bytes(file);
        look(&from, file)?.ok_or(Errno::NOENT)?;
        self.clear(dir, name, there)?;
        Ok(rustix::fs::linkat(
            &from,
            file,
            dir,
            name,
            AtFlags::empty(),
        )?)
    }

    /// A link, a device or a FIFO.
    fn node(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        there: Option<Stat>,
        entry: &Entry,
    ) -> Result<(), Fault> {
        self.clear(dir, name, there)?;
        let kind = match entry.kind {
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        if entry.kind == Kind::Symlink {
            rustix::fs::symlinkat(OsStr::from_bytes(&entry.link), dir, name)?;
        } else {
            let device = rustix::fs::makedev(entry.device.0, entry.device.1);
            rustix::fs::mknodat(dir, name, kind, Mode::from_raw_mode(0o600), device)?;
        }
        self.attributes(dir, name, entry)?;
        let times = timestamps(entry.mtime);
        Ok(rustix::fs::utimensat(
            dir,
            name,
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Owner, extended attributes, mode: in the order in which one does not undo another.
    fn attributes(&self, dir: BorrowedFd<'_>, name: &OsStr, entry: &Entry) -> Result<(), Fault> {
        self.own(dir, name, (entry.uid, entry.gid))?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(dir, name, flags, Mode::empty())?;
        adorn(&by_number(made.as_fd()), entry)
    }

    fn own(&self, dir: BorrowedFd<'_>, name: &OsStr, owner: (u32, u32)) -> Result<(), Fault> {
        let (uid, gid) = self.owner_of(owner)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::chownat(dir, name, Some(uid), Some(gid), flags)?)
    }

    /// Whom something of this owner belongs to here.
    fn owner_of(&self, owner: (u32, u32)) -> Result<(Uid, Gid), Fault> {
        let (uid, gid) = self.options.owner.unwrap_or(owner);
        let outside = |id: u32| match self.options.ids {
            Some(ids) => ids.outside(id).ok_or(Fault::Owner(id)),
            None => Ok(id),
        };
        Ok((Uid::from_raw(outside(uid)?), Gid::from_raw(outside(gid)?)))
    }

    /// Removes what is in the way. What was a directory may be one that is remembered.
    fn clear(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        there: Option<Stat>,
    ) -> Result<(), Fault> {
        let Some(there) = there else {
            return Ok(());
        };
        if is_directory(&there) {
            self.last = None;
            return Ok(remove_tree(&Path::new(&by_number(dir)).join(name))?);
        }
        Ok(rustix::fs::unlinkat(dir, name, AtFlags::empty())?)
    }

    /// The last step, from the innermost directory to the outermost.
    fn set_times(self) -> Result<(), FilesError> {
        for (path, time) in self.times.iter().rev() {
            let set = self.open(path).and_then(|dir| {
                let times = timestamps(*time);
                Ok(rustix::fs::utimensat(
                    dir,
                    c"",
                    &times,
                    AtFlags::EMPTY_PATH,
                )?)
            });
            match set {
                // Another entry, or somebody else, took its place.
                Err(error) if is(&error, Errno::NOENT) || is(&error, Errno::NOTDIR) => {}
                other => other.map_err(|error| Fault::Io(error).on(path))?,
            }
        }
        Ok(())
    }
}

/// Extended attributes and mode of what a descriptor's name leads to.
fn adorn(number: &str, entry: &Entry) -> Result<(), Fault> {
    for (key, value) in kept_xattrs(entry) {
        match rustix::fs::setxattr(number, key, value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if entry.kind != Kind::Symlink {
        rustix::fs::chmod(number, Mode::from_raw_mode(entry.mode))?;
    }
    Ok(())
}

/// A block of zeros this long becomes a hole.
const HOLE: usize = 4096;

fn write(file: &File, entry: &Entry, reader: &mut Source<'_>) -> Result<(), Fault> {
    let whole = [(0, entry.size)];
    let pieces = entry.pieces.as_deref().unwrap_or(&whole);
    for (offset, length) in pieces {
        let (mut at, end) = (*offset, offset + length);
        while at < end {
            let chunk = reader.chunk()?;
            let most = usize::try_from(end - at).map_or(chunk.len(), |left| left.min(chunk.len()));
            for block in chunk[..most].chunks(HOLE) {
                if block.len() < HOLE || block.iter().any(|byte| *byte != 0) {
                    file.write_all_at(block, at)?;
                }
                at += block.len() as u64;
            }
            reader.advance(most);
        }
    }
    Ok(file.set_len(entry.size)?)
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Something is mounted there. The kernel would detach it for the sake of a rename from another mount namespace.
fn is_mount(dir: BorrowedFd<'_>, name: &OsStr) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::statx(dir, name, flags, StatxFlags::TYPE)
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}
