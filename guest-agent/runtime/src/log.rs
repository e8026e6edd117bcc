//! Where a container's output is recorded, and how it is read back.
//!
//! A [`LogSink`] is a plain value that travels with the launch; the monitor opens it and writes to it.
//! Reading back needs no monitor: see [`read`].

pub mod read;
pub mod sink;

pub use sink::{Driver, FileLog, LogSink, Mode};
