//! Version 2's device rules: a small eBPF program that the kernel asks before a device is made or opened.

use std::io;
use std::path::Path;

use super::DeviceRule;

/// Puts a program for `rules` in the place of the one that `directory` has.
pub(super) fn replace(_directory: &Path, _rules: &[DeviceRule]) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}
