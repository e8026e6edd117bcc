//! An OCI runtime spec and a root become a process.

pub mod client;
pub mod keeper;
pub mod launch;
pub mod log;
pub mod monitor;
mod start_error;

pub use start_error::StartError;
