//! From files to a tar stream.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::{BUFFER, IdShift, sparse};
use crate::tar::{Member, Writer, WriterKind};

/// What is written, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct PackOptions {
    /// Owners are told as this user namespace calls them.
    pub ids: Option<IdShift>,
    /// Whiteouts and opaque directories of overlayfs become `.wh.` names, as layers have them.
    pub layer: bool,
    /// Holes are told, which not every reader of tar streams understands.
    pub sparse: bool,
    /// Access control lists go along, in the kernel's own form.
    pub acls: bool,
}

/// Writes the directory behind `top` under the name `name`, and all that it holds. An empty name: what it holds alone.
/// Entries are sorted, so the same directory gives the same stream; what vanishes meanwhile is left out, and so are
/// sockets.
pub fn pack<W: Write>(top: impl AsFd, name: &[u8], options: PackOptions, to: W) -> io::Result<W> {
    let top = rustix::fs::openat(top, c".", DIRECTORY, Mode::empty())?;
    let mut packing = Packing::new(options, to);
    if !name.is_empty() {
        let stat = rustix::fs::fstat(&top)?;
        packing.directory_header(top.as_fd(), name, &stat)?;
    }
    packing.tree(top, name)?;
    packing.finish()
}

/// Writes one file of a directory, whatever it is but a directory, under the name `name`.
pub fn pack_file<W: Write>(
    parent: impl AsFd,
    file: &OsStr,
    name: &[u8],
    options: PackOptions,
    to: W,
) -> io::Result<W> {
    let mut packing = Packing::new(options, to);
    let file = CString::new(file.as_bytes())?;
    if packing.entry(parent.as_fd(), &file, b"", name)?.is_some() {
        return Err(Errno::ISDIR.into());
    }
    packing.finish()
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// How many directories stay open.
const OPEN: usize = 64;

struct Packing<W: Write> {
    tar: Writer<BufWriter<W>>,
    options: PackOptions,
    /// Files with several names, by device and inode.
    linked: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
}

/// A directory on the way.
struct Level {
    open: Option<OwnedFd>,
    identity: (u64, u64),
    /// Its name in the stream, and beneath the first directory.
    path: Vec<u8>,
    below: Vec<u8>,
    /// What is still to be written, the last first.
    names: Vec<CString>,
}

impl Level {
    fn new(fd: OwnedFd, path: Vec<u8>, below: Vec<u8>) -> io::Result<Self> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                names.push(name.to_owned());
            }
        }
        names.sort_by(|a, b| b.cmp(a));
        Ok(Self {
            identity: identity(&rustix::fs::fstat(&fd)?),
            open: Some(fd),
            path,
            below,
            names,
        })
    }

    /// Opens it again beneath the first directory, if it is still there.
    fn reopen(&mut self, top: BorrowedFd<'_>) -> io::Result<bool> {
        if self.open.is_some() {
            return Ok(true);
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let name = OsStr::from_bytes(&self.below);
        let opened = rustix::fs::openat2(top, name, DIRECTORY, Mode::empty(), resolve);
        let Ok(opened) = opened else {
            return Ok(false);
        };
        let same = identity(&rustix::fs::fstat(&opened)?) == self.identity;
        self.open = same.then_some(opened);
        Ok(same)
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    match parent.last() {
        None => name.to_vec(),
        Some(b'/') => [parent, name].concat(),
        Some(_) => [parent, b"/", name].concat(),
    }
}

impl<W: Write> Packing<W> {
    fn new(options: PackOptions, to: W) -> Self {
        Self {
            tar: Writer::new(BufWriter::with_capacity(BUFFER, to)),
            options,
            linked: HashMap::new(),
            buffer: Vec::new(),
        }
    }

    fn finish(self) -> io::Result<W> {
        let out = self.tar.finish()?.into_inner();
        out.map_err(io::IntoInnerError::into_error)
    }

    fn tree(&mut self, top: OwnedFd, name: &[u8]) -> io::Result<()> {
        let first = rustix::fs::openat(&top, c".", DIRECTORY, Mode::empty())?;
        let mut levels = vec![Level::new(first, name.to_vec(), Vec::new())?];
        while let Some(level) = levels.last_mut() {
            if level.below.is_empty() || level.reopen(top.as_fd())? {
                if let Some(below) = self.next_of(level)? {
                    levels.push(below);
                    if let Some(far) = levels.len().checked_sub(OPEN + 1).filter(|far| *far > 0) {
                        levels[far].open = None;
                    }
                    continue;
                }
            } else {
                // Somebody moved or removed it: the rest of it is not here any more.
                level.names.clear();
            }
            if level.names.is_empty() {
                levels.pop();
            }
        }
        Ok(())
    }

    /// Writes the next entry of a directory; one that is a directory itself is what to go on with.
    fn next_of(&mut self, level: &mut Level) -> io::Result<Option<Level>> {
        let (Some(name), Some(dir)) = (level.names.pop(), &level.open) else {
            return Ok(None);
        };
        let path = join(&level.path, name.to_bytes());
        match self.entry(dir.as_fd(), &name, &level.path, &path) {
            Ok(None) => Ok(None),
            Ok(Some(fd)) => {
                let below = join(&level.below, name.to_bytes());
                Level::new(fd, path, below).map(Some)
            }
            // It vanished.
            Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes one entry; the descriptor of one that is a directory.
    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        parent: &[u8],
        path: &[u8],
    ) -> io::Result<Option<OwnedFd>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(dir, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::CharacterDevice && stat.st_rdev == 0 && self.options.layer {
            let mark = join(parent, &[b".wh.", name.to_bytes()].concat());
            let header = self.member(&mark, WriterKind::File, &stat, file.as_fd())?;
            self.tar.header(&header)?;
            return Ok(None);
        }
        if kind == FileType::Directory {
            let opened = rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())?;
            let stat = rustix::fs::fstat(&opened)?;
            self.directory_header(opened.as_fd(), path, &stat)?;
            return Ok(Some(opened));
        }
        if kind == FileType::Socket {
            return Ok(None);
        }
        if stat.st_nlink > 1 {
            if let Some(first) = self.linked.get(&identity(&stat)) {
                let mut link = self.bare(path, WriterKind::HardLink, &stat);
                link.link = first;
                self.tar.header(&link)?;
                return Ok(None);
            }
            self.linked.insert(identity(&stat), path.to_vec());
        }
        self.leaf((dir, name), file, path, kind, &stat)?;
        Ok(None)
    }

    fn leaf(
        &mut self,
        (dir, name): (BorrowedFd<'_>, &CStr),
        file: OwnedFd,
        path: &[u8],
        kind: FileType,
        stat: &Stat,
    ) -> io::Result<()> {
        let writer_kind = match kind {
            FileType::RegularFile => return self.file(file, path, stat),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(dir, name, Vec::new())?;
                let mut link = self.member(path, WriterKind::Symlink, stat, file.as_fd())?;
                link.link = target.to_bytes();
                return self.tar.header(&link);
            }
            FileType::Fifo => WriterKind::Fifo,
            FileType::BlockDevice => WriterKind::BlockDevice,
            _ => WriterKind::CharDevice,
        };
        let header = self.member(path, writer_kind, stat, file.as_fd())?;
        self.tar.header(&header)
    }

    fn directory_header(
        &mut self,
        dir: BorrowedFd<'_>,
        path: &[u8],
        stat: &Stat,
    ) -> io::Result<()> {
        let mut slashed = path.to_vec();
        if !slashed.ends_with(b"/") {
            slashed.push(b'/');
        }
        let header = self.member(&slashed, WriterKind::Directory, stat, dir)?;
        self.tar.header(&header)?;
        if self.options.layer && crate::layer::is_opaque(&dir) {
            let mark = join(path, b".wh..wh..opq");
            let header = self.bare(&mark, WriterKind::File, stat);
            self.tar.header(&header)?;
        }
        Ok(())
    }

    /// A regular file, by a descriptor that only names it: nothing else can be opened by mistake.
    fn file(&mut self, named: OwnedFd, path: &[u8], stat: &Stat) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, by_number(named.as_fd()), flags, Mode::empty())?;
        let mut file = File::from(opened);
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        let mut header = self.member(path, WriterKind::File, stat, file.as_fd())?;
        let holes = size > stat.st_blocks as u64 * 512;
        if self.options.sparse
            && holes
            && let Some(pieces) = sparse::pieces(&file, size)
        {
            return self.sparse_file(&mut file, header, size, &pieces);
        }
        header.size = size;
        self.tar.header(&header)?;
        self.content(&mut file, size)?;
        self.tar.pad(size)
    }

    fn sparse_file(
        &mut self,
        file: &mut File,
        mut header: Member<'_>,
        size: u64,
        pieces: &[(u64, u64)],
    ) -> io::Result<()> {
        let map = sparse::map(pieces);
        header.size = map.len() as u64 + pieces.iter().map(|(_, length)| length).sum::<u64>();
        header.sparse = Some(size);
        self.tar.header(&header)?;
        self.tar.out.write_all(&map)?;
        for (offset, length) in pieces {
            file.seek(SeekFrom::Start(*offset))?;
            self.content(file, *length)?;
        }
        self.tar.pad(header.size)
    }

    /// So many bytes, whatever becomes of the file meanwhile: its header has promised them.
    fn content(&mut self, file: &mut File, size: u64) -> io::Result<()> {
        self.buffer.resize(BUFFER, 0);
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
            match file.read(&mut self.buffer[..most]) {
                Ok(0) => break,
                Ok(length) => {
                    self.tar.out.write_all(&self.buffer[..length])?;
                    left -= length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        io::copy(&mut io::repeat(0).take(left), &mut self.tar.out).map(drop)
    }

    fn bare<'a>(&self, path: &'a [u8], kind: WriterKind, stat: &Stat) -> Member<'a> {
        let device = if matches!(kind, WriterKind::CharDevice | WriterKind::BlockDevice) {
            stat.st_rdev
        } else {
            0
        };
        let shift = |id| self.options.ids.map_or(id, |ids| ids.inside(id));
        Member {
            path,
            link: b"",
            kind,
            mode: stat.st_mode & 0o7777,
            uid: shift(stat.st_uid),
            gid: shift(stat.st_gid),
            mtime: mtime(stat),
            size: 0,
            device: (rustix::fs::major(device), rustix::fs::minor(device)),
            xattrs: Vec::new(),
            sparse: None,
        }
    }

    fn member<'a>(
        &self,
        path: &'a [u8],
        kind: WriterKind,
        stat: &Stat,
        file: BorrowedFd<'_>,
    ) -> io::Result<Member<'a>> {
        Ok(Member {
            xattrs: xattrs(&by_number(file), self.options.acls)?,
            ..self.bare(path, kind, stat)
        })
    }
}

/// The types of the fields differ between architectures.
#[allow(
    clippy::unnecessary_cast,
    reason = "the types differ between architectures"
)]
fn mtime(stat: &Stat) -> (i64, u32) {
    (stat.st_mtime as i64, stat.st_mtime_nsec as u32)
}

/// The file behind a descriptor, which may be one that was not opened for anything.
pub(super) fn by_number(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Longest value of an attribute, and longest list of names (`xattr(7)`).
const LONGEST: usize = 64 << 10;

fn xattrs(file: &str, acls: bool) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // Nearly always there is none, which costs no buffer.
    if matches!(rustix::fs::listxattr_query(file), Ok(0) | Err(_)) {
        return Ok(Vec::new());
    }
    let mut names = vec![0_u8; LONGEST];
    let length = rustix::fs::listxattr(file, &mut names).unwrap_or(0);
    let mut xattrs = Vec::new();
    for name in names[..length].split(|byte| *byte == 0) {
        let left_out = name.starts_with(b"trusted.overlay.")
            || name == b"security.selinux"
            || (name.starts_with(b"system.") && !(acls && name.starts_with(b"system.posix_acl_")));
        if name.is_empty() || left_out {
            continue;
        }
        let mut value = vec![0_u8; LONGEST];
        match rustix::fs::getxattr(file, OsStr::from_bytes(name), &mut value) {
            Ok(length) => xattrs.push((name.to_vec(), value[..length].to_vec())),
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(xattrs)
}

/// Whether something exists at a name, links not followed.
pub(super) fn look(dir: impl AsFd, name: &OsStr) -> rustix::io::Result<Option<Stat>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}
