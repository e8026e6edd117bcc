//! `browse`: a look into a volume. Paths are resolved by the kernel beneath the volume's root; a link leads nowhere else.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use proa_kernel::resolve;
use proa_protocol::{
    proa::{Browsed, BrowsedContent, BrowsedEntry},
    timestamp,
};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::{Engine, Error, Result, error::Context};

/// What of it to show.
#[derive(Clone, Debug, Default)]
pub struct BrowseOptions {
    /// Which file or directory.
    pub path: String,
    /// Where in a file to begin.
    pub offset: u64,
    /// How many bytes of a file.
    pub limit: Option<u64>,
}

/// How many bytes of a file, unless it is said, and at most.
const USUAL: u64 = 64 << 10;
const MOST: u64 = 1 << 20;
/// How many names of a directory.
const NAMES: usize = 10_000;

impl Engine {
    /// `GET /proa/v1/volumes/{name}/browse`
    pub async fn volume_browse(&self, name: &str, options: BrowseOptions) -> Result<Browsed> {
        let root = self.volumes.make_ready(name)?;
        let name = name.to_owned();
        let look = move || browse(&root, &options).map_err(|e| refusal(&e, &name, &options.path));
        tokio::task::spawn_blocking(look)
            .await
            .context(|| "look into a volume".into())?
    }
}

fn refusal(error: &io::Error, volume: &str, path: &str) -> Error {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Error::not_found(format!(
            "no such file or directory in volume {volume}: {path}"
        )),
        _ => Error::internal(format!("look at {path} in volume {volume}: {error}")),
    }
}

fn browse(root: &Path, options: &BrowseOptions) -> io::Result<Browsed> {
    let root = File::open(root)?;
    let wanted = if options.path.is_empty() {
        "/"
    } else {
        &options.path
    };
    let found = resolve::locate(&root, wanted)?;
    let stat = rustix::fs::fstat(&found)?;
    let path = path_of(&root, &found)?;
    let name = Path::new(&path).file_name().unwrap_or(OsStr::new("/"));
    let mut browsed = Browsed {
        entry: entry(found.as_fd(), c"", name, &stat)?,
        path,
        ..Browsed::default()
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => list(&found, &mut browsed)?,
        FileType::RegularFile => content(&found, options, &mut browsed)?,
        _ => {}
    }
    Ok(browsed)
}

fn list(found: &OwnedFd, browsed: &mut Browsed) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(found, c".", flags, Mode::empty())?;
    let mut entries = Vec::new();
    for read in Dir::read_from(&opened)? {
        let read = read?;
        let name = read.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entries.len() == NAMES {
            browsed.truncated = true;
            break;
        }
        // What vanished meanwhile is left out.
        if let Ok(stat) = rustix::fs::statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW) {
            let shown = std::os::unix::ffi::OsStrExt::from_bytes(name.to_bytes());
            entries.push(entry(opened.as_fd(), name, shown, &stat)?);
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    browsed.entries = Some(entries);
    Ok(())
}

fn content(found: &OwnedFd, options: &BrowseOptions, browsed: &mut Browsed) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
    let limit = options.limit.unwrap_or(USUAL).min(MOST) as usize;
    let mut bytes = vec![0; limit];
    let mut filled = 0;
    while filled < limit {
        match file.read_at(&mut bytes[filled..], options.offset + filled as u64)? {
            0 => break,
            length => filled += length,
        }
    }
    bytes.truncate(filled);
    browsed.truncated = options.offset + (filled as u64) < browsed.entry.size;
    let (encoding, text) = match String::from_utf8(bytes) {
        Ok(text) => ("utf-8", text),
        Err(error) => ("base64", proa_protocol::to_base64(error.as_bytes())),
    };
    browsed.content = Some(BrowsedContent {
        offset: options.offset,
        encoding: encoding.to_owned(),
        text,
    });
    Ok(())
}

/// The path beneath the volume's root.
fn path_of(root: &File, found: &OwnedFd) -> io::Result<String> {
    use std::os::fd::AsRawFd as _;
    let name = |fd: i32| std::fs::read_link(format!("/proc/self/fd/{fd}"));
    let (root, found) = (name(root.as_raw_fd())?, name(found.as_raw_fd())?);
    let inner: PathBuf = found.strip_prefix(&root).unwrap_or(&found).to_owned();
    Ok(Path::new("/").join(inner).display().to_string())
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the types differ between architectures"
)]
fn entry(
    dir: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    shown: &OsStr,
    stat: &Stat,
) -> io::Result<BrowsedEntry> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    let target = match kind {
        FileType::Symlink => Some(rustix::fs::readlinkat(dir, name, Vec::new())?),
        _ => None,
    };
    let modified = Timestamp::new(stat.st_mtime as i64, stat.st_mtime_nsec as i32);
    Ok(BrowsedEntry {
        name: shown.to_string_lossy().into_owned(),
        kind: word(kind).to_owned(),
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        modified: timestamp::document(modified.unwrap_or_default()),
        target: target.map(|target| target.to_string_lossy().into_owned()),
    })
}

fn word(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::BlockDevice => "block",
        FileType::CharacterDevice => "character",
        _ => "file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_looked_into_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("sub/text"), "some text").unwrap();
        std::fs::write(root.join("bytes"), [0xff, 0, 1]).unwrap();
        std::os::unix::fs::symlink("../../secret", root.join("sub/out")).unwrap();
        let look = |path: &str, offset| {
            let options = BrowseOptions {
                path: path.to_owned(),
                offset,
                limit: Some(4),
            };
            browse(&root, &options)
        };
        let top = look("", 0).unwrap();
        let names: Vec<_> = top.entries.unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(
            (top.path.as_str(), names),
            ("/", vec!["bytes".to_owned(), "sub".to_owned()])
        );
        let text = look("/sub/../sub/text", 5).unwrap();
        assert_eq!(text.content.unwrap().text, "text");
        assert!(!text.truncated && text.path == "/sub/text");
        assert_eq!(
            look("bytes", 0).unwrap().content.unwrap().encoding,
            "base64"
        );
        assert!(look("sub/out", 0).is_err() && look("../secret", 0).is_err());
        let sub = look("sub", 0).unwrap().entries.unwrap();
        assert_eq!(sub[0].target.as_deref(), Some("../../secret"));
    }
}
