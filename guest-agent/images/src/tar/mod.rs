//! The tar format, as image layers use it: reading entry by entry, and writing headers.
//!
//! Read are ustar, GNU (long names, base-256 numbers, old sparse files) and pax (names, numbers, times with
//! nanoseconds, extended attributes, the three sparse formats). Everything that is not a file's content is also handed
//! to a [`Record`], so that a layer's exact bytes can be made again from its files.

mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

use std::io;

pub(crate) use header::BLOCK;
pub(crate) use reader::{Reader, Record};
pub(crate) use writer::{Member, Writer, WriterKind};

/// Longest name or pax header that is read; Go's library has the same limit.
pub(crate) const MAX_SPECIAL: u64 = 1 << 20;
/// Longest path that Linux takes.
pub(crate) const MAX_PATH: usize = 4096;
/// Most entries in one archive: a bomb limit, far above what any real layer holds.
pub(crate) const MAX_ENTRIES: u64 = 8_000_000;

/// One member of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    /// Its name as written.
    pub(crate) path: Vec<u8>,
    /// What a link points to.
    pub(crate) link: Vec<u8>,
    /// What it is.
    pub(crate) kind: Kind,
    /// Permission bits, with set-uid, set-gid and sticky.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Modification time: seconds and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// Size of the file.
    pub(crate) size: u64,
    /// Bytes of content in the archive; fewer than `size` for sparse files.
    pub(crate) payload: u64,
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
    /// Extended attributes.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the pieces of a sparse file go: offset and length, ascending, together `payload` long.
    pub(crate) pieces: Option<Vec<(u64, u64)>>,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    #[default]
    File,
    Directory,
    Symlink,
    HardLink,
    CharDevice,
    BlockDevice,
    Fifo,
}

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TarError {
    #[error("archive/tar: invalid tar header: {0}")]
    Header(&'static str),
    #[error("archive/tar: {what} of {size} bytes is too long")]
    TooLong { what: &'static str, size: u64 },
    #[error("archive/tar: more than {MAX_ENTRIES} entries")]
    TooMany,
    #[error("unhandled tar header type {0}")]
    Type(u8),
    #[error("archive/tar: invalid sparse map: {0}")]
    Sparse(&'static str),
    #[error("unexpected EOF")]
    Truncated,
    #[error(transparent)]
    Read(io::Error),
}

impl From<io::Error> for TarError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Truncated
        } else {
            Self::Read(error)
        }
    }
}
