//! The container's root file system as a detached mount, made by the parent.
//!
//! The parent can name host paths, keeps its privileges when the child has a user namespace, and may hold the mount
//! until after the exit has been reported.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use proa_kernel::mount::{self, Change, propagation};

use super::overlay::{self, Mapping};
use super::protocol::During;
use crate::plan::Root;
use crate::start_error::{StartError, Step};

/// The root's mount. With `mapping`, the ids of an overlay's layers are shown through that user namespace.
pub(super) fn mount(
    root: &Root,
    shared: bool,
    mapping: Option<Mapping<'_>>,
) -> Result<OwnedFd, StartError> {
    match root {
        Root::Plain(path) => plain(path, shared).during_on(Step::Root, path),
        Root::Overlay(overlay) => {
            overlay::writable(overlay, mapping).during_on(Step::Root, &overlay.upper)
        }
    }
}

/// A directory of the host with what is mounted below it, cut loose from the host so that no mount made in it is seen
/// there.
fn plain(path: &Path, shared: bool) -> io::Result<OwnedFd> {
    let root = mount::clone_path(path, true)?;
    let propagation = if shared {
        propagation::PRIVATE
    } else {
        propagation::SLAVE
    };
    let change = Change {
        propagation,
        ..Change::default()
    };
    mount::change(&root, &change, true)?;
    Ok(root)
}
