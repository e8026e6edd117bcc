//! What the kernel refused, and why.

use std::io;

/// The outcome of a request.
pub type Result<T> = std::result::Result<T, Error>;

/// A refusal by the kernel.
#[derive(Debug, thiserror::Error)]
#[error("{action} {object}{}", remark(text))]
pub struct Error {
    /// What was attempted.
    pub action: &'static str,
    /// On what.
    pub object: String,
    /// The kernel's own words, where it had any (`NETLINK_EXT_ACK`).
    pub text: Option<String>,
    /// The error number.
    pub source: io::Error,
}

impl Error {
    pub(crate) fn new(action: &'static str, object: impl Into<String>, source: io::Error) -> Self {
        Self {
            action,
            object: object.into(),
            text: None,
            source,
        }
    }

    /// Whether the object is not there.
    pub fn is_missing(&self) -> bool {
        // A link is ENODEV, a route ESRCH, an address EADDRNOTAVAIL, everything of nftables ENOENT.
        matches!(
            self.source.raw_os_error(),
            Some(libc::ENODEV | libc::ENOENT | libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENXIO)
        )
    }

    /// Whether the object is there already.
    pub fn is_present(&self) -> bool {
        self.source.raw_os_error() == Some(libc::EEXIST)
    }
}

fn remark(text: &Option<String>) -> String {
    text.as_ref()
        .map_or_else(String::new, |text| format!(" ({text})"))
}
