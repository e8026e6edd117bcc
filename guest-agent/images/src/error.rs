//! What can go wrong with images, and what kind of failure each is for the one who asked.

use std::io;
use std::path::PathBuf;

use crate::digest::{BadDigest, Digest};
use crate::platform::BadPlatform;
use crate::reference::BadReference;

/// What a failure means to the one who asked; the API turns it into a status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No such image, tag, repository.
    NotFound,
    /// In use, or ambiguous.
    Conflict,
    /// The request or the content given is malformed.
    BadParameter,
    /// The registry does not let us.
    Forbidden,
    /// The registry wants other credentials.
    Unauthorized,
    /// The registry cannot be reached or does not answer sensibly.
    Unavailable,
    /// Our own trouble: disk full, database, bugs.
    Internal,
}

/// A failed operation on images. Messages that clients match on are in Docker's words.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name given is no reference.
    #[error(transparent)]
    Reference(#[from] BadReference),
    /// The digest given is none.
    #[error(transparent)]
    Digest(#[from] BadDigest),
    /// The platform given is none.
    #[error(transparent)]
    Platform(#[from] BadPlatform),
    /// Nothing here by that name.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// A push of a name that no image here has.
    #[error("{0}")]
    NotTagged(String),
    /// Several images share the prefix given.
    #[error("multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// An image is in use; the text says by whom.
    #[error("{0}")]
    Conflict(String),
    /// The image is here, but for another platform.
    #[error(
        "image with reference {name} was found but its platform ({found}) does not match the specified platform ({wanted})"
    )]
    OtherPlatform {
        /// The image.
        name: String,
        /// What it is for.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// The registry said no, or nothing sensible.
    #[error(transparent)]
    Registry(#[from] crate::registry::RegistryError),
    /// A layer's content is not what it should be.
    #[error(transparent)]
    Layer(#[from] crate::layer::LayerError),
    /// An archive or document given is malformed.
    #[error("{0}")]
    Malformed(String),
    /// A filter or option given makes no sense.
    #[error("{0}")]
    BadParameter(String),
    /// A stored blob is missing.
    #[error("blob {0} is missing from the store")]
    MissingBlob(Digest),
    /// A file of the store.
    #[error("{attempt} {}", path.display())]
    File {
        /// `write`, `create` …
        attempt: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A stream given to us or taken from us broke.
    #[error("{attempt}")]
    Stream {
        /// `read the archive` …
        attempt: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The store's own index.
    #[error("{attempt} in the image index")]
    Index {
        /// `record the image` …
        attempt: &'static str,
        /// Why not.
        source: rusqlite::Error,
    },
    /// The download of a layer failed; several pulls may wait for it.
    #[error(transparent)]
    Shared(std::sync::Arc<Error>),
    /// Somebody else's pull of the same layer failed, or a task was stopped.
    #[error("{0}")]
    Interrupted(String),
}

impl Error {
    /// What the failure means to the one who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Reference(_)
            | Self::Digest(_)
            | Self::Platform(_)
            | Self::Malformed(_)
            | Self::BadParameter(_)
            | Self::Ambiguous(_) => Kind::BadParameter,
            Self::NoSuchImage(_) | Self::NotTagged(_) | Self::OtherPlatform { .. } => {
                Kind::NotFound
            }
            Self::Conflict(_) => Kind::Conflict,
            Self::Registry(error) => error.kind(),
            Self::Layer(error) => error.kind(),
            Self::Shared(error) => error.kind(),
            Self::MissingBlob(_)
            | Self::File { .. }
            | Self::Stream { .. }
            | Self::Index { .. }
            | Self::Interrupted(_) => Kind::Internal,
        }
    }
}

/// Names the file in an `io::Error`'s way up.
pub(crate) trait At<T> {
    /// Adds what was attempted on which file.
    fn at(self, attempt: &'static str, path: impl Into<PathBuf>) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, attempt: &'static str, path: impl Into<PathBuf>) -> Result<T, Error> {
        self.map_err(|source| Error::File {
            attempt,
            path: path.into(),
            source,
        })
    }
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, attempt: &'static str, path: impl Into<PathBuf>) -> Result<T, Error> {
        self.map_err(|source| Error::File {
            attempt,
            path: path.into(),
            source: source.into(),
        })
    }
}

/// Names the attempt in a database error's way up.
pub(crate) trait Attempting<T> {
    /// Adds what was attempted.
    fn attempting(self, attempt: &'static str) -> Result<T, Error>;
}

impl<T> Attempting<T> for rusqlite::Result<T> {
    fn attempting(self, attempt: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Index { attempt, source })
    }
}
