//! Tar streams of files that somebody is using meanwhile: a container's, a volume's.
//!
//! Both ways everything is done by descriptor beneath a root, so that no link that is put there in between leads out:
//! parents are resolved in the root by the kernel (`openat2` with `RESOLVE_IN_ROOT`), and what is in them is looked at
//! and made by single-component calls.

mod pack;
mod sparse;
mod unpack;

use std::io::{self, BufRead, BufReader, Read};

use crate::tar::TarError;

pub use pack::{PackOptions, pack, pack_file};
pub use unpack::{UnpackOptions, unpack};

/// The ids that a user namespace shows from 0 on: `size` of them begin at `first` outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdShift {
    /// The first id outside.
    pub first: u32,
    /// How many.
    pub size: u32,
}

/// What the kernel shows for an id that has no name in a namespace (`/proc/sys/kernel/overflowuid`).
const NOBODY: u32 = 65534;

impl IdShift {
    /// An id of outside as it is called inside.
    pub fn inside(self, id: u32) -> u32 {
        id.checked_sub(self.first)
            .filter(|id| *id < self.size)
            .unwrap_or(NOBODY)
    }

    /// An id of inside as it is called outside; `None`: it is not in the namespace.
    pub fn outside(self, id: u32) -> Option<u32> {
        (id < self.size).then(|| self.first.checked_add(id))?
    }
}

/// Why a tar stream could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A name leads out of the directory.
    #[error("{name:?} is outside of {place:?}")]
    Outside {
        /// The name.
        name: String,
        /// The directory.
        place: String,
    },
    /// A directory is there, and something else was to take its place.
    #[error("cannot overwrite directory {path:?} with non-directory {place:?}")]
    OverDirectory {
        /// What is there.
        path: String,
        /// Where the stream was unpacked to.
        place: String,
    },
    /// Something else is there, and a directory was to take its place.
    #[error("cannot overwrite non-directory {path:?} with directory {place:?}")]
    OverFile {
        /// What is there.
        path: String,
        /// Where the stream was unpacked to.
        place: String,
    },
    /// An owner is not among the ids of the container.
    #[error("unpack {name:?}: owner {id} is not one of the container's ids")]
    Owner {
        /// The entry.
        name: String,
        /// The id.
        id: u32,
    },
    /// Something is mounted there.
    #[error("unlinkat {path}: device or resource busy")]
    Mounted {
        /// Where.
        path: String,
    },
    /// One entry could not be made.
    #[error("unpack {name:?}")]
    Entry {
        /// The entry.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The stream is not a tar.
    #[error("read the tar stream: {0}")]
    Malformed(String),
    /// It is compressed in a way that is not known here.
    #[error(
        "read the tar stream: it is compressed with {0}; gzip, zstd or no compression is wanted"
    )]
    Compression(&'static str),
    /// The stream broke off.
    #[error("read the tar stream")]
    Stream(#[source] io::Error),
}

impl FilesError {
    /// Whether the stream is at fault, not this machine.
    pub fn is_senders_fault(&self) -> bool {
        !matches!(
            self,
            Self::Entry { .. } | Self::Mounted { .. } | Self::Stream(_)
        )
    }
}

impl From<TarError> for FilesError {
    fn from(error: TarError) -> Self {
        match error {
            TarError::Read(source) if source.kind() == io::ErrorKind::InvalidData => {
                Self::Malformed(source.to_string())
            }
            TarError::Read(source) => Self::Stream(source),
            other => Self::Malformed(other.to_string()),
        }
    }
}

/// How much is read at a time.
const BUFFER: usize = 256 << 10;

/// Whatever is written comes out compressed with zstd, with a checksum of its own. To be finished by its `finish`.
pub fn compressed<W: io::Write>(to: W) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(to, zstd::DEFAULT_COMPRESSION_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// The stream itself, whatever it was compressed with.
fn inflated<'a>(from: impl Read + 'a) -> Result<Box<dyn BufRead + 'a>, FilesError> {
    let mut from = BufReader::with_capacity(BUFFER, from);
    let start = from.fill_buf().map_err(FilesError::Stream)?;
    let zstd = start.len() >= 4 && start[..4] == [0x28, 0xb5, 0x2f, 0xfd];
    match start {
        [0x1f, 0x8b, ..] => {
            let plain = flate2::bufread::MultiGzDecoder::new(from);
            Ok(Box::new(BufReader::with_capacity(BUFFER, plain)))
        }
        _ if zstd => {
            let plain = zstd::Decoder::with_buffer(from).map_err(FilesError::Stream)?;
            Ok(Box::new(BufReader::with_capacity(BUFFER, plain)))
        }
        [b'B', b'Z', b'h', ..] => Err(FilesError::Compression("bzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Err(FilesError::Compression("xz")),
        _ => Ok(Box::new(from)),
    }
}

#[cfg(test)]
mod tests;
