//! From a tar stream to a layer directory.
//!
//! Every entry is made with single-component system calls in a parent that [`Tree`] opened beneath the layer's root.
//! What a layer only implies is written beside the files, to be settled per image: parent directories without an
//! entry (`implied`), and hard links to files beneath (`links`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::LayerError;
use super::recipe::Recipe;
use super::tree::{Dir, Tree, clean, split};
use super::whiteout::{self, Mark};
use crate::tar::{Entry, Kind, Reader};

/// Most bytes of names and targets of links to files beneath, which are kept until the end; a bomb limit.
const MAX_LINKS_SIZE: usize = 256 << 20;

/// What came out of a layer's tar.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Unpacked {
    /// Bytes of all files.
    pub(crate) size: u64,
}

/// Unpacks a tar into `layer`, an empty directory: `fs`, `recipe`, and what there is of `implied`, `links`,
/// `replaced`.
pub(crate) fn unpack(input: impl BufRead, layer: &Path) -> Result<Unpacked, LayerError> {
    let fs = layer.join("fs");
    let prepared = || {
        rustix::fs::mkdirat(CWD, &fs, Mode::from_raw_mode(0o755))?;
        rustix::fs::chmodat(CWD, &fs, Mode::from_raw_mode(0o755), AtFlags::empty())?;
        Ok::<_, io::Error>((Tree::open(&fs)?, Recipe::create(&layer.join("recipe"))?))
    };
    let (tree, recipe) = prepared().map_err(|source| LayerError::Write {
        path: fs.clone(),
        source,
    })?;
    let recipe = Rc::new(RefCell::new(recipe));
    let mut reader = Reader::new(input, recipe.clone());
    let (links, times) = (BTreeMap::new(), BTreeMap::new());
    let mut unpacking = Unpacking {
        layer,
        tree,
        recipe,
        links,
        links_size: 0,
        links_seen: 0,
        times,
        replaced: 0,
        size: 0,
        umask: umask(),
    };
    while let Some(entry) = reader.next()? {
        unpacking
            .entry(&entry, &mut reader)
            .map_err(|fault| fault.on(&entry))?;
    }
    drop(reader);
    unpacking.finish()
}

/// The process's mask, so that modes that it leaves alone need no further call.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o777)
}

struct Unpacking<'a> {
    layer: &'a Path,
    tree: Tree,
    recipe: Rc<RefCell<Recipe>>,
    /// Hard links to files that are not in this layer: name with the place among all of them, and target.
    links: BTreeMap<(Vec<u8>, u32), Vec<u8>>,
    links_size: usize,
    links_seen: u32,
    /// Directories' times, set last because making files changes them.
    times: BTreeMap<Vec<u8>, (i64, u32)>,
    replaced: u32,
    size: u64,
    umask: u32,
}

/// Why one entry failed; the caller knows which.
enum Fault {
    Outside,
    BadWhiteout,
    Tar(crate::tar::TarError),
    Io(io::Error),
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

impl From<crate::tar::TarError> for Fault {
    fn from(error: crate::tar::TarError) -> Self {
        Self::Tar(error)
    }
}

impl Fault {
    fn on(self, entry: &Entry) -> LayerError {
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        match self {
            Self::Outside => LayerError::Outside(name),
            Self::BadWhiteout => LayerError::BadWhiteout(name),
            Self::Tar(error) => error.into(),
            Self::Io(source) => LayerError::Entry { name, source },
        }
    }
}

type Source<R> = Reader<R, Rc<RefCell<Recipe>>>;

impl Unpacking<'_> {
    fn entry<R: BufRead>(&mut self, entry: &Entry, reader: &mut Source<R>) -> Result<(), Fault> {
        let path = clean(&entry.path).ok_or(Fault::Outside)?;
        let (parent, name) = split(&path);
        if name.is_empty() {
            return self.root(entry);
        }
        match whiteout::mark(name) {
            Mark::Ignored => return Ok(()),
            Mark::Opaque => return Ok(whiteout::make_opaque(&self.tree.parent(parent)?)?),
            Mark::Whiteout(b"" | b"." | b"..") => return Err(Fault::BadWhiteout),
            Mark::Whiteout(target) => {
                return Ok(whiteout::place(&self.tree.parent(parent)?, target)?);
            }
            Mark::None => {}
        }
        let dir = self.tree.parent(parent)?;
        match entry.kind {
            Kind::File => self.file(&dir, name, entry, reader),
            Kind::Directory => self.directory(&dir, name, entry),
            Kind::Symlink => self.symlink(&dir, name, entry),
            Kind::HardLink => self.hard_link(&dir, name, entry),
            Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => self.node(&dir, name, entry),
        }
    }

    fn root(&mut self, entry: &Entry) -> Result<(), Fault> {
        if entry.kind != Kind::Directory {
            return Err(Fault::Outside);
        }
        let root = self.tree.root().clone();
        self.own(&root, OsStr::new("."), entry)?;
        rustix::fs::fchmod(&root, Mode::from_raw_mode(entry.mode))?;
        set_xattrs(root.as_fd(), entry)?;
        self.times.insert(Vec::new(), entry.mtime);
        Ok(())
    }

    fn file<R: BufRead>(
        &mut self,
        dir: &Dir,
        name: &[u8],
        entry: &Entry,
        reader: &mut Source<R>,
    ) -> Result<(), Fault> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let name_os = OsStr::from_bytes(name);
        let fd = match rustix::fs::openat(dir, name_os, flags, mode) {
            Err(Errno::EXIST) => {
                self.make_way(dir, name)?;
                rustix::fs::openat(dir, name_os, flags, mode)?
            }
            other => other?,
        };
        let file = File::from(fd);
        let path = dir.join(name);
        match &entry.pieces {
            None => {
                write_piece(&file, 0, entry.size, reader)?;
                if entry.size > 0 {
                    self.recipe.borrow_mut().file(&path, entry.size)?;
                }
            }
            Some(pieces) => {
                file.set_len(entry.size)?;
                for (offset, length) in pieces {
                    write_piece(&file, *offset, *length, reader)?;
                }
                self.recipe.borrow_mut().sparse(&path, pieces)?;
            }
        }
        self.size = self.size.saturating_add(entry.size);
        self.own_file(&file, entry)?;
        set_xattrs(file.as_fd(), entry)?;
        Ok(rustix::fs::futimens(&file, &timestamps(entry.mtime))?)
    }

    fn own_file(&self, file: &File, entry: &Entry) -> Result<(), Fault> {
        let owned = entry.uid != 0 || entry.gid != 0;
        if owned {
            rustix::fs::fchown(
                file,
                Some(Uid::from_raw(entry.uid)),
                Some(Gid::from_raw(entry.gid)),
            )?;
        }
        if owned || entry.mode & (self.umask | 0o7000) != 0 {
            rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))?;
        }
        Ok(())
    }

    fn directory(&mut self, dir: &Dir, name: &[u8], entry: &Entry) -> Result<(), Fault> {
        let name_os = OsStr::from_bytes(name);
        let path = dir.join(name);
        match rustix::fs::mkdirat(dir, name_os, Mode::from_raw_mode(entry.mode & 0o777)) {
            Err(Errno::EXIST) => self.directory_again(dir, name)?,
            other => other?,
        }
        self.tree.implied.remove(&path);
        self.own(dir, name_os, entry)?;
        rustix::fs::chmodat(
            dir,
            name_os,
            Mode::from_raw_mode(entry.mode),
            AtFlags::empty(),
        )?;
        if !entry.xattrs.is_empty() {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            set_xattrs(
                rustix::fs::openat(dir, name_os, flags, Mode::empty())?.as_fd(),
                entry,
            )?;
        }
        self.times.insert(path, entry.mtime);
        Ok(())
    }

    /// A directory where something is already: another entry for it, or a whiteout that makes it opaque.
    fn directory_again(&mut self, dir: &Dir, name: &[u8]) -> Result<(), Fault> {
        let name_os = OsStr::from_bytes(name);
        let stat = rustix::fs::statat(dir, name_os, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Ok(());
        }
        let whiteout = whiteout::is_whiteout(&stat);
        if whiteout {
            rustix::fs::unlinkat(dir, name_os, AtFlags::empty())?;
        } else {
            self.set_aside(dir, name)?;
        }
        rustix::fs::mkdirat(dir, name_os, Mode::from_raw_mode(0o755))?;
        if whiteout {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            whiteout::make_opaque(&rustix::fs::openat(dir, name_os, flags, Mode::empty())?)?;
        }
        Ok(())
    }

    fn symlink(&mut self, dir: &Dir, name: &[u8], entry: &Entry) -> Result<(), Fault> {
        let name_os = OsStr::from_bytes(name);
        let target = OsStr::from_bytes(&entry.link);
        match rustix::fs::symlinkat(target, dir, name_os) {
            Err(Errno::EXIST) => {
                self.make_way(dir, name)?;
                rustix::fs::symlinkat(target, dir, name_os)?;
            }
            other => other?,
        }
        self.own(dir, name_os, entry)?;
        for (key, value) in kept_xattrs(entry) {
            let path = Path::new("/proc/self/fd")
                .join(dir.as_fd().as_raw_fd().to_string())
                .join(name_os);
            tolerate(rustix::fs::lsetxattr(path, key, value, XattrFlags::empty()))?;
        }
        Ok(rustix::fs::utimensat(
            dir,
            name_os,
            &timestamps(entry.mtime),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    fn hard_link(&mut self, dir: &Dir, name: &[u8], entry: &Entry) -> Result<(), Fault> {
        let target = clean(&entry.link)
            .filter(|t| !t.is_empty())
            .ok_or(Fault::Outside)?;
        let path = dir.join(name);
        if target == path {
            return Ok(());
        }
        let (parent, file) = split(&target);
        let from = self.tree.existing(parent)?;
        let Some(from) = from else {
            return self.link_beneath(path, target);
        };
        let (file, name_os) = (OsStr::from_bytes(file), OsStr::from_bytes(name));
        let link = |dir: &Dir| rustix::fs::linkat(&from, file, dir, name_os, AtFlags::empty());
        match link(dir) {
            Err(Errno::EXIST) => {
                self.make_way(dir, name)?;
                link(dir)?;
            }
            Err(Errno::NOENT) => self.link_beneath(path, target)?,
            other => other?,
        }
        Ok(())
    }

    /// Remembers a hard link to a file that is not in this layer.
    fn link_beneath(&mut self, path: Vec<u8>, target: Vec<u8>) -> Result<(), Fault> {
        self.links_size += path.len() + target.len();
        if self.links_size > MAX_LINKS_SIZE {
            return Err(io::Error::other("too many links to files of layers beneath").into());
        }
        self.links.insert((path, self.links_seen), target);
        self.links_seen += 1;
        Ok(())
    }

    fn node(&mut self, dir: &Dir, name: &[u8], entry: &Entry) -> Result<(), Fault> {
        let kind = match entry.kind {
            Kind::CharDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let name_os = OsStr::from_bytes(name);
        let device = rustix::fs::makedev(entry.device.0, entry.device.1);
        let make = || {
            rustix::fs::mknodat(
                dir,
                name_os,
                kind,
                Mode::from_raw_mode(entry.mode & 0o777),
                device,
            )
        };
        match make() {
            Err(Errno::EXIST) => {
                self.make_way(dir, name)?;
                make()?;
            }
            other => other?,
        }
        self.own(dir, name_os, entry)?;
        rustix::fs::chmodat(
            dir,
            name_os,
            Mode::from_raw_mode(entry.mode),
            AtFlags::empty(),
        )?;
        Ok(rustix::fs::utimensat(
            dir,
            name_os,
            &timestamps(entry.mtime),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    fn own(&self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<(), Fault> {
        if entry.uid == 0 && entry.gid == 0 {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        Ok(rustix::fs::chownat(
            dir,
            name,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Clears a name that an earlier entry of this layer used.
    fn make_way(&mut self, dir: &Dir, name: &[u8]) -> Result<(), Fault> {
        let stat = rustix::fs::statat(dir, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW)?;
        if whiteout::is_whiteout(&stat) {
            return Ok(rustix::fs::unlinkat(
                dir,
                OsStr::from_bytes(name),
                AtFlags::empty(),
            )?);
        }
        self.set_aside(dir, name)
    }

    /// Moves what is replaced out of the layer's files, because the recipe refers to its content.
    fn set_aside(&mut self, dir: &Dir, name: &[u8]) -> Result<(), Fault> {
        let aside = self.layer.join("replaced");
        if self.replaced == 0 {
            std::fs::create_dir(&aside)?;
        }
        let path = dir.join(name);
        let to = aside.join(self.replaced.to_string());
        rustix::fs::renameat(dir, OsStr::from_bytes(name), CWD, &to)?;
        self.recipe.borrow_mut().replaced(&path, self.replaced)?;
        self.replaced += 1;
        self.tree.forget();
        self.forget(path);
        Ok(())
    }

    /// Nothing is left to do for a path and for what was below it. Only what is forgotten is looked at, because an
    /// archive may replace something with every entry.
    fn forget(&mut self, path: Vec<u8>) {
        let below = [path.as_slice(), b"/"].concat();
        // The byte after a slash.
        let end = [path.as_slice(), b"0"].concat();
        self.tree.implied.remove(&path);
        self.times.remove(&path);
        let implied = self.tree.implied.range(below.clone()..end.clone());
        for gone in implied.cloned().collect::<Vec<_>>() {
            self.tree.implied.remove(&gone);
        }
        let times = self.times.range(below.clone()..end.clone());
        for gone in times.map(|(path, _)| path.clone()).collect::<Vec<_>>() {
            self.times.remove(&gone);
        }
        let own = self.links.range((path.clone(), 0)..=(path, u32::MAX));
        let links = own.chain(self.links.range((below, 0)..(end, 0)));
        for gone in links.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.links.remove(&gone);
        }
    }

    fn finish(self) -> Result<Unpacked, LayerError> {
        let wrote = |path: &str, source: io::Error| LayerError::Write {
            path: self.layer.join(path),
            source,
        };
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        for (path, time) in &self.times {
            let name = if path.is_empty() {
                OsStr::new(".")
            } else {
                OsStr::from_bytes(path)
            };
            let set = rustix::fs::openat2(self.tree.root(), name, flags, Mode::empty(), beneath)
                .and_then(|fd| rustix::fs::futimens(fd, &timestamps(*time)));
            set.map_err(|errno| wrote(&String::from_utf8_lossy(path), errno.into()))?;
        }
        let recipe = Rc::into_inner(self.recipe).map(RefCell::into_inner);
        recipe
            .map_or(Ok(()), Recipe::finish)
            .map_err(|source| wrote("recipe", source))?;
        let implied = self.tree.implied.iter().map(Vec::as_slice);
        write_list(&self.layer.join("implied"), implied)
            .map_err(|source| wrote("implied", source))?;
        // A link may lead to one before it.
        let mut links: Vec<_> = self.links.iter().collect();
        links.sort_by_key(|((_, place), _)| *place);
        let links = links
            .into_iter()
            .flat_map(|((path, _), target)| [path.as_slice(), target]);
        write_list(&self.layer.join("links"), links).map_err(|source| wrote("links", source))?;
        Ok(Unpacked { size: self.size })
    }
}

/// Paths end with a NUL, which no path holds. No paths, no file.
fn write_list<'a>(path: &Path, items: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    let text: Vec<u8> = items
        .flat_map(|item| item.iter().copied().chain([0]))
        .collect();
    if text.is_empty() {
        Ok(())
    } else {
        std::fs::write(path, text)
    }
}

/// Reads what [`unpack`] left beside the files.
pub(crate) fn read_list(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(text) => Ok(text
            .split_inclusive(|b| *b == 0)
            .map(|item| item[..item.len() - 1].to_vec())
            .collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn write_piece<R: BufRead>(
    file: &File,
    mut at: u64,
    length: u64,
    reader: &mut Source<R>,
) -> Result<(), Fault> {
    let end = at + length;
    while at < end {
        let chunk = reader.chunk()?;
        let most = chunk
            .len()
            .min(usize::try_from(end - at).unwrap_or(usize::MAX));
        file.write_all_at(&chunk[..most], at)?;
        reader.advance(most);
        at += most as u64;
    }
    Ok(())
}

pub(crate) fn timestamps((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Overlayfs's own attributes are not for images to set: they would redirect lookups.
pub(crate) fn kept_xattrs(entry: &Entry) -> impl Iterator<Item = (&OsStr, &[u8])> {
    let own =
        |name: &[u8]| name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
    let kept = entry.xattrs.iter().filter(move |(name, _)| !own(name));
    kept.map(|(name, value)| (OsStr::from_bytes(name), value.as_slice()))
}

fn set_xattrs(fd: BorrowedFd<'_>, entry: &Entry) -> Result<(), Fault> {
    for (name, value) in kept_xattrs(entry) {
        tolerate(rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()))?;
    }
    Ok(())
}

/// A file system without an attribute's namespace must not make an image unusable; Docker thinks so too.
fn tolerate(result: rustix::io::Result<()>) -> Result<(), Fault> {
    match result {
        Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        other => Ok(other?),
    }
}
