//! What tokio's reactor wants of a descriptor, for types that only lend theirs.

use std::{
    io,
    ops::Deref,
    os::fd::{AsFd, AsRawFd, RawFd},
};

use tokio::io::unix::AsyncFd;

/// Has the reactor watch a descriptor.
#[expect(
    deprecated,
    reason = "its successor is unsafe; an owner never changes its descriptor here"
)]
pub(crate) fn watch<T: AsFd>(owner: T) -> io::Result<AsyncFd<Pollable<T>>> {
    AsyncFd::new(Pollable(owner))
}

/// An owner of a descriptor that can be waited for.
#[derive(Debug)]
pub(crate) struct Pollable<T>(pub(crate) T);

impl<T: AsFd> AsRawFd for Pollable<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl<T> Deref for Pollable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
