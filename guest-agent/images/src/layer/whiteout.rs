//! Deletion marks: what layers write as `.wh.` names, in overlayfs's own form.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, Mode, Stat, XattrFlags};
use rustix::io::Errno;

use super::tree::Dir;

/// What the last component of a name says (image-spec, `layer.md`, "Whiteouts").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark<'a> {
    /// An ordinary name.
    None,
    /// The named sibling is deleted from the layers beneath.
    Whiteout(&'a [u8]),
    /// The directory hides everything beneath.
    Opaque,
    /// Leftovers of AUFS, which mean nothing.
    Ignored,
}

/// Reads the last component of a name.
pub(crate) fn mark(name: &[u8]) -> Mark<'_> {
    match name.strip_prefix(b".wh.") {
        None => Mark::None,
        Some(b".wh..opq") => Mark::Opaque,
        Some(rest) if rest.starts_with(b".wh.") => Mark::Ignored,
        Some(rest) => Mark::Whiteout(rest),
    }
}

const OPAQUE: &str = "trusted.overlay.opaque";

pub(crate) fn make_opaque(dir: &impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fsetxattr(
        dir,
        OPAQUE,
        b"y",
        XattrFlags::empty(),
    )?)
}

pub(crate) fn is_opaque(dir: &impl AsFd) -> bool {
    let mut value = [0_u8; 2];
    matches!(rustix::fs::fgetxattr(dir, OPAQUE, &mut value), Ok(1) if value[0] == b'y')
}

/// Whether this is an overlayfs whiteout.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Deletes `name` of the layers beneath. Where this layer has a directory of that name, it becomes opaque; another
/// file hides what is beneath anyway.
pub(crate) fn place(dir: &Dir, name: &[u8]) -> io::Result<()> {
    let name = OsStr::from_bytes(name);
    match rustix::fs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Err(Errno::EXIST) => {}
        other => return Ok(other?),
    }
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        let flags = rustix::fs::OFlags::DIRECTORY
            | rustix::fs::OFlags::NOFOLLOW
            | rustix::fs::OFlags::CLOEXEC;
        make_opaque(&rustix::fs::openat(dir, name, flags, Mode::empty())?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks() {
        assert_eq!(mark(b"a"), Mark::None);
        assert_eq!(mark(b".wh.a"), Mark::Whiteout(b"a"));
        assert_eq!(mark(b".wh..wh..opq"), Mark::Opaque);
        assert_eq!(mark(b".wh..wh.plnk"), Mark::Ignored);
        assert_eq!(mark(b".whx"), Mark::None);
    }
}
