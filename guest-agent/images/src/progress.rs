//! What a pull, push or load says while it runs: plain values, in Docker's words.

use std::borrow::Cow;

use crate::digest::Digest;

/// One line of progress. The API turns it into a JSON message, the words stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is about: a layer's short digest, or the tag; none for a line about the whole.
    pub id: Option<String>,
    /// `Downloading`, `Pull complete`, `Digest: sha256:…`
    pub status: Cow<'static, str>,
    /// How far it is, where that is known.
    pub detail: Option<Detail>,
    /// What a push made; only on its last line.
    pub pushed: Option<Pushed>,
}

/// How far an operation is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Bytes done.
    pub current: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What a push left on the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The tag.
    pub tag: String,
    /// The manifest's digest.
    pub digest: Digest,
    /// The manifest's size.
    pub size: u64,
}

impl Progress {
    /// A line about the whole operation.
    pub fn line(status: impl Into<Cow<'static, str>>) -> Self {
        Self {
            id: None,
            status: status.into(),
            detail: None,
            pushed: None,
        }
    }

    /// A line about one part.
    pub fn about(id: &str, status: impl Into<Cow<'static, str>>) -> Self {
        Self {
            id: Some(id.into()),
            status: status.into(),
            detail: None,
            pushed: None,
        }
    }

    /// The same line with how far it is.
    #[must_use]
    pub fn at(mut self, current: u64, total: u64) -> Self {
        self.detail = Some(Detail { current, total });
        self
    }
}
