//! Where a container's output is recorded, and how it is read back.
//!
//! A [`LogSink`] is a plain value that travels with the launch; the monitor opens it and writes to it.
//! Reading back needs no monitor: see [`read`].

pub(crate) mod clock;
mod files;
mod fluentd;
mod gelf;
mod journald;
mod json;
mod lines;
mod local;
pub mod options;
mod outlet;
pub mod read;
pub(crate) mod record;
pub mod sink;
mod syslog;

pub use sink::{Driver, FileLog, LogSink, Mode};

use serde::{Deserialize, Serialize};

/// An output stream. A terminal's output counts as standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout = 0,
    /// Standard error.
    Stderr = 1,
}

impl Stream {
    /// As log files name it.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}
