//! Layers: from a stream of bytes to a directory that overlay takes as a lower, and back.

use crate::error::Kind;

/// A layer's content is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The stream is not the layer that was asked for.
    #[error("layer verification failed for digest {0}")]
    Corrupt(crate::digest::Digest),
}

impl LayerError {
    /// What the failure means to the one who asked.
    pub fn kind(&self) -> Kind {
        Kind::BadParameter
    }
}
