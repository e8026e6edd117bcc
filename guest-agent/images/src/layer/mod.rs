//! Layers: from a stream of bytes to a directory that overlay takes as a lower, and back.
//!
//! ```text
//! layers/<diff id>/fs        the files; whiteouts and opaque directories in overlayfs's form
//!                 /recipe    how to make the exact tar again from them
//!                 /implied   directories without an entry of their own
//!                 /links     hard links to files of the layers beneath
//!                 /replaced  files that the same layer overwrote later
//! ```

mod fixup;
mod incoming;
mod intake;
mod recipe;
mod tree;
mod unpack;
mod whiteout;

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::error::Kind;
use crate::tar::TarError;

pub(crate) use fixup::settle;
pub(crate) use incoming::Incoming;
pub(crate) use intake::{Expected, Feed, Received, intake};
pub(crate) use recipe::write_tar;
pub(crate) use tree::clean;
#[cfg(fuzzing)]
pub(crate) use unpack::unpack;
pub(crate) use unpack::{kept_xattrs, timestamps};
pub(crate) use whiteout::is_opaque;

/// A layer's content is not what it should be, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The stream is not the layer that was asked for.
    #[error("filesystem layer verification failed for digest {0}")]
    Corrupt(Digest),
    /// What came out is not what the image's configuration says.
    #[error("layers from manifest don't match image configuration: {found} instead of {wanted}")]
    WrongDiffId {
        /// What the image says.
        wanted: Digest,
        /// What came out.
        found: Digest,
    },
    /// A name leads out of the layer.
    #[error("invalid tar entry: {0:?} is outside of the layer")]
    Outside(String),
    /// A whiteout of nothing.
    #[error("invalid whiteout {0:?}")]
    BadWhiteout(String),
    /// The tar is malformed.
    #[error("unpack the layer: {0}")]
    Malformed(String),
    /// The compressed stream is malformed.
    #[error("decompress the layer")]
    Compression(#[source] io::Error),
    /// One entry could not be made.
    #[error("unpack {name:?}")]
    Entry {
        /// Which.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A file of the store could not be written.
    #[error("write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The stream ended early or its sender gave up.
    #[error("the layer's stream broke off")]
    Cut,
}

impl LayerError {
    /// What the failure means to the one who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Entry { .. } | Self::Write { .. } | Self::Cut => Kind::Internal,
            _ => Kind::BadParameter,
        }
    }
}

impl From<TarError> for LayerError {
    fn from(error: TarError) -> Self {
        match error {
            TarError::Read(source) => match source.downcast::<LayerError>() {
                Ok(inner) => inner,
                Err(source) => Self::Compression(source),
            },
            other => Self::Malformed(other.to_string()),
        }
    }
}
