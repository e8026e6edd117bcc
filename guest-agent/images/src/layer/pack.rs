//! From a directory in overlayfs's form (a container's upper) to a layer's tar.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::tree::join;
use super::whiteout;
use crate::tar::{Member, Writer, WriterKind};

/// Writes a directory as a layer: whiteouts and opaque directories become `.wh.` names. Entries are sorted, so the
/// same directory gives the same tar.
pub(crate) fn pack<W: Write>(dir: &Path, to: W) -> io::Result<W> {
    let mut packing = Packing {
        tar: Writer::new(BufWriter::with_capacity(256 << 10, to)),
        linked: HashMap::new(),
    };
    packing.directory(dir, b"")?;
    packing
        .tar
        .finish()?
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
}

struct Packing<W: Write> {
    tar: Writer<BufWriter<W>>,
    /// Files with several names, by device and inode.
    linked: HashMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> Packing<W> {
    fn directory(&mut self, dir: &Path, path: &[u8]) -> io::Result<()> {
        let mut names: Vec<_> = fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<io::Result<_>>()?;
        names.sort();
        for name in names {
            self.entry(&dir.join(&name), &join(path, name.as_bytes()), path)?;
        }
        Ok(())
    }

    fn entry(&mut self, file: &Path, path: &[u8], parent: &[u8]) -> io::Result<()> {
        let stat = fs::symlink_metadata(file)?;
        let kind = stat.file_type();
        if kind.is_char_device() && stat.rdev() == 0 {
            let name = file.file_name().unwrap_or_default();
            let mark = join(parent, &[b".wh.", name.as_bytes()].concat());
            return self
                .tar
                .header(&member(&mark, WriterKind::File, &stat, file)?);
        }
        if kind.is_dir() {
            let slashed = [path, b"/"].concat();
            self.tar
                .header(&member(&slashed, WriterKind::Directory, &stat, file)?)?;
            if whiteout::is_opaque(&File::open(file)?) {
                self.tar
                    .header(&bare(&join(path, b".wh..wh..opq"), WriterKind::File, &stat))?;
            }
            return self.directory(file, path);
        }
        if kind.is_socket() {
            return Ok(());
        }
        if stat.nlink() > 1
            && let Some(first) = self.linked.insert((stat.dev(), stat.ino()), path.to_vec())
        {
            let mut link = bare(path, WriterKind::HardLink, &stat);
            link.link = &first;
            return self.tar.header(&link);
        }
        if kind.is_symlink() {
            let target = fs::read_link(file)?;
            let mut link = member(path, WriterKind::Symlink, &stat, file)?;
            link.link = target.as_os_str().as_bytes();
            return self.tar.header(&link);
        }
        if !kind.is_file() {
            let kind = match (kind.is_fifo(), kind.is_block_device()) {
                (true, _) => WriterKind::Fifo,
                (_, true) => WriterKind::BlockDevice,
                _ => WriterKind::CharDevice,
            };
            return self.tar.header(&member(path, kind, &stat, file)?);
        }
        self.file(file, path, &stat)
    }

    fn file(&mut self, file: &Path, path: &[u8], stat: &fs::Metadata) -> io::Result<()> {
        let mut header = member(path, WriterKind::File, stat, file)?;
        header.size = stat.len();
        self.tar.header(&header)?;
        let copied = io::copy(&mut File::open(file)?.take(stat.len()), &mut self.tar.out)?;
        // The file may shrink while it is read; the header has promised its size.
        io::copy(
            &mut io::repeat(0).take(stat.len() - copied),
            &mut self.tar.out,
        )?;
        self.tar.pad(stat.len())
    }
}

fn bare<'a>(path: &'a [u8], kind: WriterKind, stat: &fs::Metadata) -> Member<'a> {
    let device = if matches!(kind, WriterKind::CharDevice | WriterKind::BlockDevice) {
        stat.rdev()
    } else {
        0
    };
    Member {
        path,
        link: b"",
        kind,
        mode: stat.mode() & 0o7777,
        uid: stat.uid(),
        gid: stat.gid(),
        mtime: (stat.mtime(), stat.mtime_nsec() as u32),
        size: 0,
        device: (rustix::fs::major(device), rustix::fs::minor(device)),
        xattrs: Vec::new(),
    }
}

fn member<'a>(
    path: &'a [u8],
    kind: WriterKind,
    stat: &fs::Metadata,
    file: &Path,
) -> io::Result<Member<'a>> {
    Ok(Member {
        xattrs: xattrs(file)?,
        ..bare(path, kind, stat)
    })
}

fn xattrs(file: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = vec![0_u8; 64 << 10];
    let length = rustix::fs::llistxattr(file, &mut names).unwrap_or(0);
    let mut xattrs = Vec::new();
    for name in names[..length].split(|b| *b == 0) {
        if name.is_empty() || name.starts_with(b"trusted.overlay.") || name.starts_with(b"system.")
        {
            continue;
        }
        let mut value = vec![0_u8; 64 << 10];
        let length = rustix::fs::lgetxattr(file, std::ffi::OsStr::from_bytes(name), &mut value)?;
        xattrs.push((name.to_vec(), value[..length].to_vec()));
    }
    Ok(xattrs)
}
