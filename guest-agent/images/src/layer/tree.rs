//! Directories of a layer while it is unpacked: no path ever leads out of them.
//!
//! A parent directory is opened beneath the layer's root and kept open, so that most entries cost one lookup in a
//! map and single-component system calls. Symbolic links on the way are followed inside the layer only; parents
//! that have no entry are made and remembered as implied.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Most symbolic links in one path, as in the kernel.
const MAX_LINKS: usize = 40;
/// Open directories kept.
const MAX_OPEN: usize = 96;

/// A directory of the layer that is open.
#[derive(Clone)]
pub(crate) struct Dir(Rc<Open>);

struct Open {
    fd: OwnedFd,
    path: Vec<u8>,
}

impl Dir {
    /// The path of something in it.
    pub(crate) fn join(&self, name: &[u8]) -> Vec<u8> {
        join(&self.0.path, name)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

pub(crate) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        name.to_vec()
    } else {
        [parent, b"/", name].concat()
    }
}

pub(crate) struct Tree {
    root: Dir,
    open: HashMap<Vec<u8>, Dir>,
    /// The last parent asked for: archives list a directory's files together.
    last: Option<(Vec<u8>, Dir)>,
    /// Directories that exist only because something in them has an entry.
    pub(crate) implied: BTreeSet<Vec<u8>>,
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW);

impl Tree {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let fd = rustix::fs::openat(CWD, root, DIRECTORY, Mode::empty())?;
        let root = Dir(Rc::new(Open {
            fd,
            path: Vec::new(),
        }));
        Ok(Self {
            root,
            open: HashMap::new(),
            last: None,
            implied: BTreeSet::new(),
        })
    }

    pub(crate) fn root(&self) -> &Dir {
        &self.root
    }

    /// The directory at a cleaned path, made if it is not there.
    pub(crate) fn parent(&mut self, path: &[u8]) -> io::Result<Dir> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        if let Some((last, dir)) = &self.last
            && last == path
        {
            return Ok(dir.clone());
        }
        let dir = match self.open.get(path) {
            Some(dir) => dir.clone(),
            None => self.open_or_make(path)?,
        };
        self.last = Some((path.to_vec(), dir.clone()));
        Ok(dir)
    }

    /// The directory at a cleaned path, if it is in this layer.
    pub(crate) fn existing(&mut self, path: &[u8]) -> io::Result<Option<Dir>> {
        if path.is_empty() {
            return Ok(Some(self.root.clone()));
        }
        if let Some(dir) = self.open.get(path) {
            return Ok(Some(dir.clone()));
        }
        match self.open_beneath(path) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => self.walk(path, false),
            Err(error) => Err(error.into()),
        }
    }

    /// Forgets what is open: something that was a directory is one no longer.
    pub(crate) fn forget(&mut self) {
        self.open.clear();
        self.last = None;
    }

    fn open_or_make(&mut self, path: &[u8]) -> io::Result<Dir> {
        let dir = match self.open_beneath(path) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {
                self.walk(path, true)?.ok_or(io::ErrorKind::NotFound)?
            }
            Err(error) => return Err(error.into()),
        };
        if self.open.len() >= MAX_OPEN {
            self.open.clear();
        }
        self.open.insert(path.to_vec(), dir.clone());
        Ok(dir)
    }

    fn open_beneath(&self, path: &[u8]) -> Result<Dir, Errno> {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let fd = loop {
            match rustix::fs::openat2(
                &self.root,
                OsStr::from_bytes(path),
                DIRECTORY,
                Mode::empty(),
                how,
            ) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => break other?,
            }
        };
        Ok(Dir(Rc::new(Open {
            fd,
            path: path.to_vec(),
        })))
    }

    /// Goes down component by component, following symbolic links inside the layer.
    fn walk(&mut self, path: &[u8], make: bool) -> io::Result<Option<Dir>> {
        let mut todo: Vec<Vec<u8>> = path
            .split(|b| *b == b'/')
            .rev()
            .map(<[u8]>::to_vec)
            .collect();
        let mut stack = vec![self.root.clone()];
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let here = stack[stack.len() - 1].clone();
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    if stack.len() > 1 {
                        stack.pop();
                    }
                    continue;
                }
                _ => {}
            }
            match self.step(&here, &name, make)? {
                Step::Into(dir) => stack.push(dir),
                Step::Missing => return Ok(None),
                Step::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    if target.starts_with(b"/") {
                        stack.truncate(1);
                    }
                    todo.extend(target.split(|b| *b == b'/').rev().map(<[u8]>::to_vec));
                }
            }
        }
        Ok(stack.pop())
    }

    fn step(&mut self, here: &Dir, name: &[u8], make: bool) -> io::Result<Step> {
        let name_os = OsStr::from_bytes(name);
        let stat = match rustix::fs::statat(here, name_os, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) if make => return self.imply(here, name).map(Step::Into),
            Err(Errno::NOENT) => return Ok(Step::Missing),
            Err(error) => return Err(error.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let fd = rustix::fs::openat(here, name_os, DIRECTORY, Mode::empty())?;
                Ok(Step::Into(Dir(Rc::new(Open {
                    fd,
                    path: here.join(name),
                }))))
            }
            FileType::Symlink => Ok(Step::Link(
                rustix::fs::readlinkat(here, name_os, Vec::new())?.into_bytes(),
            )),
            // A whiteout and then something below it: the directory beneath is gone, this one is new.
            FileType::CharacterDevice if stat.st_rdev == 0 && make => {
                rustix::fs::unlinkat(here, name_os, AtFlags::empty())?;
                let dir = self.imply(here, name)?;
                super::whiteout::make_opaque(&dir)?;
                Ok(Step::Into(dir))
            }
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    fn imply(&mut self, here: &Dir, name: &[u8]) -> io::Result<Dir> {
        let name_os = OsStr::from_bytes(name);
        rustix::fs::mkdirat(here, name_os, Mode::from_raw_mode(0o755))?;
        let fd = rustix::fs::openat(here, name_os, DIRECTORY, Mode::empty())?;
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o755))?;
        let path = here.join(name);
        self.implied.insert(path.clone());
        Ok(Dir(Rc::new(Open { fd, path })))
    }
}

enum Step {
    Into(Dir),
    Link(Vec<u8>),
    Missing,
}

/// A name of an archive as a path below the layer's root: no `.`, no `..`, no slashes around; `None` if it leads
/// out. Absolute names start at the layer's root.
pub(crate) fn clean(name: &[u8]) -> Option<Vec<u8>> {
    // Nearly all names are clean but for a `./` in front or a slash behind.
    let trimmed = name.strip_prefix(b"./").unwrap_or(name);
    let trimmed = trimmed.strip_suffix(b"/").unwrap_or(trimmed);
    let plain = |c: &[u8]| !matches!(c, b"" | b"." | b"..");
    if trimmed.split(|b| *b == b'/').all(plain) {
        return Some(trimmed.to_vec());
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.pop().is_none() && !name.starts_with(b"/") => return None,
            b".." => {}
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// Parent and last component of a cleaned path.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned() {
        let check = |name: &str, want: Option<&str>| {
            assert_eq!(
                clean(name.as_bytes()),
                want.map(|w| w.as_bytes().to_vec()),
                "{name}"
            );
        };
        check("a/b", Some("a/b"));
        check("./a/b/", Some("a/b"));
        check("./", Some(""));
        check(".", Some(""));
        check("/etc/passwd", Some("etc/passwd"));
        check("a//b/./c", Some("a/b/c"));
        check("a/../b", Some("b"));
        check("../a", None);
        check("a/../../b", None);
        check("/../a", Some("a"));
        check("..", None);
        check("...", Some("..."));
    }
}
