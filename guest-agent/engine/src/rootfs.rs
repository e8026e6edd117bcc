//! A container's root read without mounting it: the upper directory and the lower ones, as overlayfs merges them.
//!
//! Names are looked up beneath the root, symbolic links included, so `/etc/passwd -> /../../etc/shadow` stays inside.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::{OsStr, OsString},
    fs::{self, Metadata},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Component, Path, PathBuf},
};

use proa_kernel::resolve;
use rustix::fs::OFlags;

/// As many links as the kernel follows.
const MAX_LINKS: u32 = 40;

/// Longest file that is read for the engine's own use; an image may hold one of any size.
const LONGEST: u64 = 4 << 20;

/// Directories stacked on one another, the topmost first.
#[derive(Clone, Debug)]
pub(crate) struct Layers(Vec<PathBuf>);

/// Something found in [`Layers`].
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Where it is on the host: in the topmost layer that has it.
    pub(crate) path: PathBuf,
    /// Its name beneath the root, links resolved.
    pub(crate) name: PathBuf,
    pub(crate) metadata: Metadata,
    /// For a directory: every layer's part of it, the topmost first.
    parts: Vec<PathBuf>,
}

impl Layers {
    pub(crate) fn new(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        Layers(directories.into_iter().collect())
    }

    /// The topmost first.
    pub(crate) fn directories(&self) -> &[PathBuf] {
        &self.0
    }

    /// Looks `name` up, following links. `None`: it does not exist.
    pub(crate) fn find(&self, name: &Path) -> io::Result<Option<Found>> {
        let mut wanted: VecDeque<OsString> = components(name).collect();
        let mut trail = vec![self.root()?];
        let mut links = 0;
        while let Some(part) = wanted.pop_front() {
            if part == ".." {
                trail.truncate(1.max(trail.len() - 1));
                continue;
            }
            let Some(found) = child(&trail[trail.len() - 1], &part)? else {
                return Ok(None);
            };
            if !found.metadata.is_symlink() {
                trail.push(found);
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::from_raw_os_error(
                    rustix::io::Errno::LOOP.raw_os_error(),
                ));
            }
            let target = fs::read_link(&found.path)?;
            if target.is_absolute() {
                trail.truncate(1);
            }
            for part in components(&target).collect::<Vec<_>>().into_iter().rev() {
                wanted.push_front(part);
            }
        }
        Ok(trail.pop())
    }

    /// Reads a file; an empty text if it does not exist.
    pub(crate) fn read(&self, name: &Path) -> io::Result<String> {
        match self.find(name)? {
            Some(found) if found.metadata.is_file() => {
                let mut bytes = Vec::new();
                self.open(&found)?.take(LONGEST).read_to_end(&mut bytes)?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Some(_) | None => Ok(String::new()),
        }
    }

    /// Opens what was found. A running container may have put a link or a FIFO there since: neither is followed or
    /// waited for.
    fn open(&self, found: &Found) -> io::Result<fs::File> {
        let place = self
            .0
            .iter()
            .find_map(|layer| Some((layer, found.path.strip_prefix(layer).ok()?)));
        let (layer, below) = place.ok_or(io::ErrorKind::NotFound)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = fs::File::from(resolve::open_plain(fs::File::open(layer)?, below, flags)?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        }
    }

    fn root(&self) -> io::Result<Found> {
        let top = self.0.first().ok_or(io::ErrorKind::NotFound)?;
        Ok(Found {
            path: top.clone(),
            name: PathBuf::from("/"),
            metadata: fs::metadata(top)?,
            parts: self.0.clone(),
        })
    }
}

impl Found {
    /// What a directory holds, by name.
    pub(crate) fn children(&self) -> io::Result<BTreeMap<OsString, Found>> {
        let mut names = BTreeSet::new();
        for part in &self.parts {
            for entry in fs::read_dir(part)? {
                names.insert(entry?.file_name());
            }
        }
        let mut children = BTreeMap::new();
        for name in names {
            if let Some(found) = child(self, &name)? {
                children.insert(name, found);
            }
        }
        Ok(children)
    }
}

fn components(name: &Path) -> impl Iterator<Item = OsString> {
    name.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// One name in a merged directory, links not followed.
fn child(directory: &Found, name: &OsStr) -> io::Result<Option<Found>> {
    let mut found: Option<Found> = None;
    for part in &directory.parts {
        let path = part.join(name);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(error),
        };
        if is_whiteout(&metadata) {
            break;
        }
        let merges = metadata.is_dir();
        match &mut found {
            // A file under a directory is hidden by it, and everything below it too.
            Some(_) if !merges => break,
            Some(top) => top.parts.push(path.clone()),
            None => {
                found = Some(Found {
                    name: directory.name.join(name),
                    parts: vec![path.clone()],
                    path: path.clone(),
                    metadata,
                });
            }
        }
        if !merges || is_opaque(&path) {
            break;
        }
    }
    Ok(found)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

pub(crate) fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

pub(crate) fn is_opaque(path: &Path) -> bool {
    let mut value = [0; 1];
    ["trusted.overlay.opaque", "user.overlay.opaque"]
        .iter()
        .any(|name| rustix::fs::lgetxattr(path, *name, &mut value) == Ok(1) && value == *b"y")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn layers(dir: &Path) -> Layers {
        for name in ["upper", "middle/etc", "lower/etc", "lower/usr/share"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        fs::write(dir.join("lower/etc/passwd"), "lower").unwrap();
        fs::write(dir.join("lower/etc/group"), "group").unwrap();
        fs::write(dir.join("middle/etc/passwd"), "middle").unwrap();
        symlink("../../../etc/passwd", dir.join("lower/usr/share/link")).unwrap();
        symlink("/loop", dir.join("lower/loop")).unwrap();
        Layers::new(["upper", "middle", "lower"].map(|name| dir.join(name)))
    }

    #[test]
    fn the_topmost_layer_wins_and_links_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let layers = layers(dir.path());
        assert_eq!(layers.read(Path::new("/etc/passwd")).unwrap(), "middle");
        assert_eq!(layers.read(Path::new("/etc/group")).unwrap(), "group");
        assert_eq!(layers.read(Path::new("/usr/share/link")).unwrap(), "middle");
        assert_eq!(layers.read(Path::new("/etc/shadow")).unwrap(), "");
        assert!(layers.read(Path::new("/loop")).is_err());
    }

    #[test]
    fn whiteouts_and_opaque_directories_hide_what_is_below() {
        let dir = tempfile::tempdir().unwrap();
        let layers = layers(dir.path());
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let node = dir.path().join("upper/etc");
        fs::create_dir(&node).unwrap();
        let char_device = rustix::fs::FileType::CharacterDevice;
        rustix::fs::mknodat(rustix::fs::CWD, node.join("passwd"), char_device, mode, 0).unwrap();
        assert!(layers.find(Path::new("/etc/passwd")).unwrap().is_none());
        assert!(layers.find(Path::new("/etc/group")).unwrap().is_some());
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&node, "trusted.overlay.opaque", b"y", flags).unwrap();
        assert!(layers.find(Path::new("/etc/group")).unwrap().is_none());
        let root = layers.find(Path::new("/")).unwrap().unwrap();
        let names: Vec<_> = root.children().unwrap().into_keys().collect();
        assert_eq!(names, ["etc", "loop", "usr"]);
    }
}
