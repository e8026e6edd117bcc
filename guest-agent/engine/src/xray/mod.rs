//! X-ray: what the kernel really does for a container, read from the kernel.
//!
//! [`path`] follows a request from the host's port to the process that listens.

mod listening;
pub mod path;
mod probe;
mod scene;
