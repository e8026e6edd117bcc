//! A network namespace that endpoints are attached to.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A network namespace with its loopback interface up, held open by its descriptor: it lasts until this is dropped and
/// no process is inside.
#[derive(Debug)]
pub struct Sandbox {
    pub(crate) namespace: OwnedFd,
}

impl AsFd for Sandbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}
