//! A folder in the making, which goes with its owner unless it is kept.

use std::path::{Path, PathBuf};

use proa_kernel::remove::remove_tree;
use tempfile::TempDir;

/// What is in it came from an image and may be nested to any depth, so it is not for [`TempDir`] to remove.
#[derive(Debug)]
pub(crate) struct Incoming(Option<PathBuf>);

impl Incoming {
    pub(crate) fn new(folder: TempDir) -> Self {
        Self(Some(folder.keep()))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Leaves it to the caller.
    pub(crate) fn keep(mut self) -> Option<PathBuf> {
        self.0.take()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(error) = remove_tree(&path)
        {
            tracing::warn!(path = %path.display(), %error, "could not remove a folder in the making");
        }
    }
}
