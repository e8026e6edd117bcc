//! Text for people: tables, sizes, ages, colours, progress.

pub(crate) mod ago;
pub(crate) mod archive;
pub(crate) mod format;
pub(crate) mod progress;
pub(crate) mod size;
pub(crate) mod style;
pub(crate) mod table;

use std::io::{self, Write};

use crate::failure::Failure;

/// Prints a line to standard output.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    write(format!("{text}\n").as_bytes())
}

/// Writes bytes to standard error.
pub(crate) fn write_error(bytes: &[u8]) -> Result<(), Failure> {
    io::stderr()
        .lock()
        .write_all(bytes)
        .map_err(|source| Failure::io("write to standard error", source))
}

/// Writes bytes to standard output; a reader that has gone away ends the program quietly, as it does `cat`.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(141),
        other => other.map_err(|source| Failure::io("write to standard output", source)),
    }
}
