//! The kernel's switches under `/proc/sys/net`. The files are those of the calling thread's network namespace.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};

use crate::{Error, Result};

/// Writes one, such as `ipv4/ip_forward`.
pub(crate) fn set(name: &str, value: &str) -> Result<()> {
    fs::write(path(name), value).map_err(|source| failed(name, value, source))
}

/// The same where the kernel has it; without IPv6 a good part of them is not there.
pub(crate) fn set_where_known(name: &str, value: &str) -> Result<()> {
    match fs::write(path(name), value) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(name, value, error)),
        _ => Ok(()),
    }
}

/// What one says, without the line's end.
pub(crate) fn value(name: &str) -> Option<String> {
    let text = fs::read_to_string(path(name)).ok()?;
    Some(text.trim_end().to_owned())
}

/// One that is written later, from another namespace maybe.
#[derive(Debug)]
pub(crate) struct Switch {
    name: String,
    file: File,
}

impl Switch {
    /// `None` where the kernel does not have it.
    pub(crate) fn open(name: &str) -> Option<Switch> {
        let file = OpenOptions::new().write(true).open(path(name)).ok()?;
        Some(Switch {
            name: name.to_owned(),
            file,
        })
    }

    /// Writes it.
    pub(crate) fn set(mut self, value: &str) -> Result<()> {
        let written = self.file.write_all(value.as_bytes());
        written.map_err(|source| failed(&self.name, value, source))
    }
}

fn path(name: &str) -> String {
    format!("/proc/sys/net/{name}")
}

fn failed(name: &str, value: &str, source: io::Error) -> Error {
    Error::Kernel {
        what: format!("set net/{name} to {value}"),
        source,
    }
}
