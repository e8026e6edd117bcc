//! Files of settings, ours and Docker's: replaced as a whole, so that no reader ever sees half of one.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes `bytes` beside `path` and puts them in its place; rights of an existing file are kept.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Through a link to the file it points at: people keep settings in a folder under version control.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mode = std::fs::metadata(&path).map_or(0o600, |about| about.permissions().mode());
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(bytes)?;
    let rights = std::fs::Permissions::from_mode(mode);
    beside.as_file().set_permissions(rights)?;
    beside.as_file().sync_all()?;
    beside.persist(&path)?;
    Ok(())
}
