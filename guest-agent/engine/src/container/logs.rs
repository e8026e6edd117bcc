//! `logs`: what the monitor recorded, read back.

use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::Container;
use crate::{Error, Kind, Result};

/// What to read of a log.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// Lines of standard output.
    pub stdout: bool,
    /// Lines of standard error.
    pub stderr: bool,
    /// Go on with what is written later.
    pub follow: bool,
    /// An RFC 3339 time in front of each line.
    pub timestamps: bool,
    /// `key=value` pairs of the log options in front of each line.
    pub details: bool,
    /// Only lines not before this: a Unix time (`1.5`), as Docker's parameter.
    pub since: Option<String>,
    /// Only lines not after this.
    pub until: Option<String>,
    /// At most so many of the last lines: a number or `all`.
    pub tail: Option<String>,
}

/// A log being read.
pub struct Logs {
    /// Whether the bytes are raw (a terminal) or framed.
    pub tty: bool,
    /// The bytes in their final form.
    pub output: BoxStream<'static, std::io::Result<Bytes>>,
}

impl Container {
    /// Its log.
    pub async fn logs(&self, options: LogOptions) -> Result<Logs> {
        let _ = options;
        Err(Error::new(Kind::NotImplemented, "logs is not implemented"))
    }
}
