//! What layers only imply, settled for one stack of layers.
//!
//! Layers are unpacked without looking at each other. Two things need the others: a directory that a layer made only
//! because something in it has an entry would hide the owner and mode the layers beneath give it; and a hard link may
//! name a file beneath. Both become entries of one thin directory on top of the stack.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::tree::split;
use super::unpack::read_list;
use super::whiteout;

/// One layer of the stack.
struct Layer {
    fs: PathBuf,
    root: OwnedFd,
    implied: BTreeSet<Vec<u8>>,
    links: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What one layer has at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nothing; look beneath.
    Nothing,
    /// Nothing, and what is beneath is hidden.
    Hidden,
    /// A directory; look beneath too if it is only implied.
    Directory { opaque: bool },
    /// Anything else.
    Other,
}

/// Makes the fix-up directory for `layers` (folders of layers, bottom first) in `into`, an empty directory. `false`
/// if nothing needs fixing.
pub(crate) fn settle(layers: &[PathBuf], into: &Path) -> io::Result<bool> {
    let layers = layers
        .iter()
        .map(|layer| Layer::open(layer))
        .collect::<io::Result<Vec<_>>>()?;
    let mut fixup = Fixup {
        layers,
        into,
        made: BTreeSet::new(),
    };
    let mut implied: BTreeSet<Vec<u8>> = BTreeSet::new();
    for layer in fixup.layers.iter().skip(1) {
        implied.extend(layer.implied.iter().cloned());
    }
    for path in implied {
        if fixup.needs_directory(&path)? {
            fixup.directory(&path)?;
        }
    }
    for at in 0..fixup.layers.len() {
        for (path, target) in std::mem::take(&mut fixup.layers[at].links) {
            fixup.link(at, &path, &target)?;
        }
    }
    let made = !fixup.made.is_empty();
    fixup.times()?;
    Ok(made)
}

struct Fixup<'a> {
    layers: Vec<Layer>,
    into: &'a Path,
    /// Everything that is in the fix-up directory.
    made: BTreeSet<Vec<u8>>,
}

impl Fixup<'_> {
    /// Whether the topmost layer that has this directory only implies it, and one beneath says more.
    fn needs_directory(&self, path: &[u8]) -> io::Result<bool> {
        Ok(match self.says(path)? {
            Some((top, Some(explicit))) => top != explicit,
            _ => false,
        })
    }

    /// The topmost layer with this directory, and the topmost one that has an entry for it.
    fn says(&self, path: &[u8]) -> io::Result<Option<(usize, Option<usize>)>> {
        let mut top = None;
        for (at, layer) in self.layers.iter().enumerate().rev() {
            match layer.find(path)? {
                Found::Nothing => {}
                Found::Hidden | Found::Other => break,
                Found::Directory { opaque } => {
                    let top = *top.get_or_insert(at);
                    if !layer.implied.contains(path) {
                        return Ok(Some((top, Some(at))));
                    }
                    if opaque {
                        break;
                    }
                }
            }
            if layer.hides(path)? {
                break;
            }
        }
        Ok(top.map(|top| (top, None)))
    }

    /// Makes a directory, and those above it, as the merged tree shows them.
    fn directory(&mut self, path: &[u8]) -> io::Result<()> {
        if path.is_empty() || self.made.contains(path) {
            return Ok(());
        }
        self.directory(split(path).0)?;
        let to = self.into.join(OsStr::from_bytes(path));
        rustix::fs::mkdirat(CWD, &to, Mode::from_raw_mode(0o755))?;
        self.made.insert(path.to_vec());
        let Some((top, explicit)) = self.says(path)? else {
            return Ok(());
        };
        let from = self.layers[explicit.unwrap_or(top)].open_at(path)?;
        copy_attributes(&from, &to)
    }

    /// Links a file of a layer beneath to its further name, unless a layer above says otherwise.
    fn link(&mut self, at: usize, path: &[u8], target: &[u8]) -> io::Result<()> {
        for above in &self.layers[at..] {
            if above.find(path)? != Found::Nothing || above.hides(path)? {
                return Ok(());
            }
        }
        let mut from = None;
        for below in self.layers[..at].iter().rev() {
            match below.find(target)? {
                Found::Nothing if below.hides(target)? => break,
                Found::Nothing => {}
                Found::Other => {
                    from = Some(below.fs.join(OsStr::from_bytes(target)));
                    break;
                }
                Found::Hidden | Found::Directory { .. } => break,
            }
        }
        let missing = || {
            let (path, target) = (
                String::from_utf8_lossy(path),
                String::from_utf8_lossy(target),
            );
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("link /{path} to /{target}: no such file or directory"),
            )
        };
        let from = from.ok_or_else(missing)?;
        self.directory(split(path).0)?;
        let to = self.into.join(OsStr::from_bytes(path));
        match rustix::fs::linkat(CWD, &from, CWD, &to, AtFlags::empty()) {
            Err(Errno::EXIST) => {}
            other => other?,
        }
        self.made.insert(path.to_vec());
        Ok(())
    }

    /// Sets the directories' times again, deepest first: filling them changed them.
    fn times(&self) -> io::Result<()> {
        for path in self.made.iter().rev() {
            let to = self.into.join(OsStr::from_bytes(path));
            if to.symlink_metadata()?.is_dir()
                && let Some((top, explicit)) = self.says(path)?
            {
                let from = self.layers[explicit.unwrap_or(top)].open_at(path)?;
                let stat = rustix::fs::fstat(&from)?;
                rustix::fs::utimensat(CWD, &to, &times_of(&stat), AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
        Ok(())
    }
}

impl Layer {
    fn open(layer: &Path) -> io::Result<Self> {
        let fs = layer.join("fs");
        let root = File::open(&fs)?.into();
        let implied = read_list(&layer.join("implied"))?.into_iter().collect();
        let links = read_list(&layer.join("links"))?;
        let links = links
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[path, target]| (path.clone(), target.clone()))
            .collect();
        Ok(Self {
            fs,
            root,
            implied,
            links,
        })
    }

    fn open_at(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let name = if path.is_empty() {
            OsStr::new(".")
        } else {
            OsStr::from_bytes(path)
        };
        rustix::fs::openat2(&self.root, name, flags, Mode::empty(), how)
    }

    /// What this layer alone has at a path.
    fn find(&self, path: &[u8]) -> io::Result<Found> {
        let (parent, name) = split(path);
        let parent = match self.open_at(parent) {
            Ok(parent) => parent,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            // Something above is no directory here: a file, a link, a whiteout.
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Found::Hidden),
            Err(error) => return Err(error.into()),
        };
        let stat =
            match rustix::fs::statat(&parent, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => return Ok(Found::Nothing),
                Err(error) => return Err(error.into()),
            };
        if whiteout::is_whiteout(&stat) {
            return Ok(Found::Hidden);
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Ok(Found::Other);
        }
        Ok(Found::Directory {
            opaque: whiteout::is_opaque(&self.open_at(path)?),
        })
    }

    /// Whether a directory above the path is opaque here, so that nothing beneath counts.
    fn hides(&self, path: &[u8]) -> io::Result<bool> {
        let mut parent = split(path).0;
        while !parent.is_empty() {
            match self.open_at(parent) {
                Ok(dir) if whiteout::is_opaque(&dir) => return Ok(true),
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error.into()),
            }
            parent = split(parent).0;
        }
        Ok(false)
    }
}

fn times_of(stat: &rustix::fs::Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: stat.st_atime as _,
            tv_nsec: stat.st_atime_nsec as _,
        },
        last_modification: Timespec {
            tv_sec: stat.st_mtime as _,
            tv_nsec: stat.st_mtime_nsec as _,
        },
    }
}

/// Owner, mode and extended attributes, but not overlayfs's own.
fn copy_attributes(from: &OwnedFd, to: &Path) -> io::Result<()> {
    let stat = rustix::fs::fstat(from)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(CWD, to, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    rustix::fs::chmodat(
        CWD,
        to,
        Mode::from_raw_mode(stat.st_mode & 0o7777),
        AtFlags::empty(),
    )?;
    let mut names = vec![0_u8; 64 << 10];
    let length = rustix::fs::flistxattr(from, &mut names).unwrap_or(0);
    for name in names[..length]
        .split(|b| *b == 0)
        .filter(|n| !n.is_empty() && !n.starts_with(b"trusted.overlay."))
    {
        let mut value = vec![0_u8; 64 << 10];
        let length = rustix::fs::fgetxattr(from, OsStr::from_bytes(name), &mut value)?;
        match rustix::fs::setxattr(
            to,
            OsStr::from_bytes(name),
            &value[..length],
            XattrFlags::empty(),
        ) {
            Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            other => other?,
        }
    }
    Ok(())
}
