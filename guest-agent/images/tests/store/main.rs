//! The store against real things: Debian's registry server, archives by other people's tools, the kernel's overlay.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod archives;
mod layers;
mod mirrors;
mod names;
mod registry;
mod support;
