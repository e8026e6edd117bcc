//! An OCI runtime spec and a root become a process.

pub mod client;
pub mod init;
pub mod keeper;
pub mod launch;
pub mod log;
pub mod monitor;
pub mod plan;
pub mod resources;
pub mod seccomp;
mod start_error;
pub mod view;
mod wire;

/// The runtime specification that this follows, as state documents tell it.
pub const OCI_VERSION: &str = "1.2.1";

pub use start_error::{StartError, Step};
