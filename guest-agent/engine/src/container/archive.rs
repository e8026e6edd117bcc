//! `archive`: files in and out as tar streams (`docker cp`), and what a path is.
//!
//! Paths are Docker's: cleaned as text first, then resolved in the container's root by the kernel. A trailing slash or
//! dot means what a link leads to.

use std::{
    ffi::OsStr,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use proa_images::files::{self, IdShift, PackOptions, UnpackOptions};
use proa_kernel::resolve;
use proa_protocol::{PathStat, timestamp};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};

use super::{
    Container,
    definition::{Definition, Source},
    launch,
    view::{Opened, Purpose},
};
use crate::{
    Engine, Error, Kind, Result, error::Context, rootfs::Layers, user_ids::IdRange, users,
};

/// How files are put into a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtractOptions {
    /// A directory is not replaced by something else, nor the other way round.
    pub keep_kinds: bool,
    /// They belong to the container's user.
    pub copy_owner: bool,
}

/// Files on their way out: what was asked for, and the stream, still to be written.
pub struct Download {
    /// What the path is.
    pub stat: PathStat,
    opened: Arc<Opened>,
    what: What,
    name: Vec<u8>,
    options: PackOptions,
}

enum What {
    Directory(OwnedFd),
    File { parent: OwnedFd, name: Vec<u8> },
}

impl Download {
    /// Writes the tar stream. Blocks.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        match &self.what {
            What::Directory(top) => files::pack(top, &self.name, self.options, to).map(drop),
            What::File { parent, name } => {
                let name = OsStr::from_bytes(name);
                files::pack_file(parent, name, &self.name, self.options, to).map(drop)
            }
        }
    }

    /// Resolves when the container is about to be started or removed and the stream is to be broken off.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + 'static {
        self.opened.revoked()
    }
}

/// A container's root, open for files to be put into it.
pub struct Upload {
    opened: Arc<Opened>,
    options: UnpackOptions,
}

impl Upload {
    /// Unpacks a tar stream. Blocks.
    pub fn read(&self, from: impl Read) -> Result<()> {
        let unpacked = files::unpack(from, self.opened.view.as_fd(), &self.options);
        unpacked.map_err(|error| {
            let kind = if error.is_senders_fault() {
                Kind::BadParameter
            } else {
                Kind::Internal
            };
            match std::error::Error::source(&error) {
                Some(source) => Error::new(kind, format!("{error}: {}", words_of(source))),
                None => Error::new(kind, error.to_string()),
            }
        })
    }

    /// Resolves when the container is about to be started or removed.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + 'static {
        self.opened.revoked()
    }
}

/// The system's words without the number.
fn words_of(error: &(dyn std::error::Error + 'static)) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

impl Container {
    /// What a path is. `name`: how the container was called, for a refusal.
    pub async fn path_stat(&self, name: &str, path: &str) -> Result<PathStat> {
        let opened = self.open(Purpose::Read).await?;
        let (name, path) = (name.to_owned(), path.to_owned());
        blocking(move || look(&opened, &name, &path).map(|looked| looked.told)).await
    }

    /// The files at a path.
    pub async fn download(&self, name: &str, path: &str) -> Result<Download> {
        let opened = self.open(Purpose::Read).await?;
        let ids = self.seen().definition.ids.map(shift);
        let (name, path) = (name.to_owned(), path.to_owned());
        let download = blocking(move || {
            let looked = look(&opened, &name, &path)?;
            Ok(Download {
                name: base(&looked.clean),
                stat: looked.told,
                what: looked.what,
                opened,
                options: PackOptions {
                    ids,
                    ..PackOptions::default()
                },
            })
        });
        let download = download.await?;
        self.tell("archive-path", &[]);
        Ok(download)
    }

    /// The container itself as a tar stream: its root, without what is mounted in it.
    pub async fn export(&self) -> Result<Download> {
        let opened = self.open(Purpose::Alone).await?;
        let ids = self.seen().definition.ids.map(shift);
        let attempt = || format!("open the root of container {}", self.id);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let top = resolve::open_in(&opened.view, c".", flags, Mode::empty()).context(attempt)?;
        self.tell("export", &[]);
        Ok(Download {
            stat: PathStat::default(),
            what: What::Directory(top),
            name: Vec::new(),
            opened,
            options: PackOptions {
                ids,
                ..PackOptions::default()
            },
        })
    }

    /// A directory that files are to be put into.
    pub async fn upload(&self, name: &str, path: &str, how: ExtractOptions) -> Result<Upload> {
        let engine = self.engine()?;
        let opened = self.open(Purpose::Write).await?;
        let definition = self.seen().definition;
        let (name, path) = (name.to_owned(), path.to_owned());
        let upload = blocking(move || {
            let place = place(&opened, &definition, &name, &path)?;
            let owner = if how.copy_owner {
                owner(&engine, &definition)?
            } else {
                None
            };
            let options = UnpackOptions {
                place,
                keep_kinds: how.keep_kinds,
                top: false,
                owner,
                ids: definition.ids.map(shift),
            };
            Ok(Upload { opened, options })
        });
        let upload = upload.await?;
        self.tell("extract-to-dir", &[]);
        Ok(upload)
    }
}

fn shift(range: IdRange) -> IdShift {
    IdShift {
        first: range.first,
        size: range.size,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context(|| "look into the container".into())?
}

/// Where files are to be put, links resolved; what may not be written to is refused.
fn place(opened: &Opened, definition: &Definition, name: &str, path: &str) -> Result<PathBuf> {
    let found = resolve::locate(&opened.view, clean(path));
    let found = found.map_err(|error| refusal(error, name, path))?;
    let stat = rustix::fs::fstat(&found).context(|| format!("look at {path}"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Error::bad("extraction point is not a directory"));
    }
    let place = path_of(&found)?;
    let mounted = definition
        .mounts
        .iter()
        .filter(|mount| place.starts_with(clean(&mount.target)))
        .max_by_key(|mount| Path::new(&mount.target).components().count());
    match mounted {
        Some(mount) if mount.read_only => Err(Error::bad("mounted volume is marked read-only")),
        Some(mount) if !matches!(mount.what, Source::Tmpfs { .. }) => Ok(place),
        // Memory that is not there now is not what would be written to.
        _ if definition.host.readonly_rootfs => {
            Err(Error::bad("container rootfs is marked read-only"))
        }
        _ => Ok(place),
    }
}

/// Whom files belong to that are copied with their owner: the container's user, if it has one.
fn owner(engine: &Engine, definition: &Definition) -> Result<Option<(u32, u32)>> {
    if definition.config.user.is_empty() {
        return Ok(None);
    }
    let root = launch::overlay(engine, definition);
    let layers = Layers::new(std::iter::once(root.upper).chain(root.lowers));
    let user = users::find(&layers, &definition.config.user, &[])?;
    Ok(Some((user.uid, user.gid)))
}

/// A path that was found.
struct Looked {
    told: PathStat,
    what: What,
    clean: String,
}

fn look(opened: &Opened, name: &str, path: &str) -> Result<Looked> {
    let clean = clean(path);
    let refused = |error: io::Error| refusal(error, name, path);
    let (stat, what) = find(opened, &clean).map_err(refused)?;
    let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    let target = match &what {
        What::File { parent, name } if is_link => target(opened, &clean, parent, name)?,
        _ => String::new(),
    };
    let told = PathStat {
        name: String::from_utf8_lossy(&base(&clean)).into_owned(),
        size: stat.st_size,
        mode: go_mode(&stat),
        mtime: told_time(&stat),
        link_target: target,
    };
    Ok(Looked { told, what, clean })
}

fn refusal(error: io::Error, container: &str, path: &str) -> Error {
    match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::NOENT) => Error::not_found(format!(
            "Could not find the file {path} in container {container}"
        )),
        _ => {
            let words = words_of(&error);
            Error::internal(format!("lstat {}: {words}", clean(path)))
        }
    }
}

/// Everything but its last name is resolved; the last one too where the path ends with a slash or a dot.
fn find(opened: &Opened, clean: &str) -> io::Result<(Stat, What)> {
    let follow = clean.ends_with('/') || clean.ends_with("/.");
    let (parent, name) = clean.rsplit_once('/').unwrap_or(("", clean));
    if !follow {
        let parent = if parent.is_empty() { "/" } else { parent };
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let parent = resolve::open_in(&opened.view, parent, flags, Mode::empty())?;
        let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            let name = name.as_bytes().to_vec();
            return Ok((stat, What::File { parent, name }));
        }
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let directory = resolve::open_in(&opened.view, clean, flags, Mode::empty())?;
    Ok((rustix::fs::fstat(&directory)?, What::Directory(directory)))
}

/// Where a link leads, as far as that can be followed.
fn target(opened: &Opened, clean: &str, parent: &OwnedFd, name: &[u8]) -> Result<String> {
    if let Ok(found) = resolve::locate(&opened.view, clean) {
        return Ok(path_of(&found)?.display().to_string());
    }
    let text = rustix::fs::readlinkat(parent, OsStr::from_bytes(name), Vec::new());
    let text = text.context(|| format!("read the link {clean}"))?;
    let text = path_of(parent)?.join(OsStr::from_bytes(text.to_bytes()));
    Ok(self::clean(&text.display().to_string()))
}

/// The path of something beneath the root, as the container would call it.
fn path_of(found: &OwnedFd) -> Result<PathBuf> {
    let number = std::os::fd::AsRawFd::as_raw_fd(found);
    std::fs::read_link(format!("/proc/self/fd/{number}"))
        .context(|| "find a path's place in the container".into())
}

/// As Go's `filepath.Join("/", path)`, with a trailing slash or dot kept.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut clean = format!("/{}", parts.join("/"));
    if path.ends_with("/.") || path == "." {
        clean = format!("{}/.", clean.trim_end_matches('/'));
    } else if path.ends_with('/') && !clean.ends_with('/') {
        clean.push('/');
    }
    clean
}

/// As Go's `filepath.Base`: the last name, trailing slashes aside.
fn base(clean: &str) -> Vec<u8> {
    let trimmed = clean.trim_end_matches('/');
    let name = trimmed.rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        b"/".to_vec()
    } else {
        name.as_bytes().to_vec()
    }
}

/// The bits of Go's `fs.FileMode`.
fn go_mode(stat: &Stat) -> u32 {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => 1 << 31,
        FileType::Symlink => 1 << 27,
        FileType::BlockDevice => 1 << 26,
        FileType::CharacterDevice => 1 << 26 | 1 << 21,
        FileType::Fifo => 1 << 25,
        FileType::Socket => 1 << 24,
        _ => 0,
    };
    let special = [(0o4000, 23), (0o2000, 22), (0o1000, 20)];
    let set = special
        .iter()
        .filter(|(bit, _)| stat.st_mode & bit != 0)
        .fold(0, |sum, (_, go)| sum | 1 << go);
    kind | set | stat.st_mode & 0o777
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the types differ between architectures"
)]
fn told_time(stat: &Stat) -> String {
    let at = Timestamp::new(stat.st_mtime as i64, stat.st_mtime_nsec as i32);
    timestamp::document(at.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_docker_does() {
        let check = |path: &str, wanted: &str, name: &str| {
            assert_eq!(clean(path), wanted);
            assert_eq!(base(&clean(path)), name.as_bytes(), "{path}");
        };
        check("/a/b", "/a/b", "b");
        check("a/b/", "/a/b/", "b");
        check("a//b/./c", "/a/b/c", "c");
        check("/a/.", "/a/.", ".");
        check("../../a/../b", "/b", "b");
        check("/", "/", "/");
        check("", "/", "/");
        check(".", "/.", ".");
    }
}
