//! The machine: the virtual computer in which the engine runs where it cannot run here, and the process that looks
//! after it.
//!
//! ```text
//! docker, proa ──▶ docker.sock ─ proxy ───┐
//! curl localhost:8080 ─▶ ports ─ tunnel ──┼─▶ dialer ──▶ the agent in the machine
//! proa machine … ─▶ supervisor.sock       │
//!                        └─ owner ── starts, watches, stops ──▶ proa_vm::Machine
//! ```
//! One [`supervisor`] per user, single by a lock, is the only process that talks to the machine. Everyone else talks to
//! the supervisor: clients of Docker's API at `docker.sock` as if the engine were here, and [`Supervisor`] at
//! `supervisor.sock`.
//!
//! Does not know: how a machine is booted (`proa_vm`), what a screen looks like.

mod archive;
mod context;
pub mod control;
mod file;
mod folders;
mod guest;
mod lock;
mod ports;
mod proxy;
mod reach;
mod relay;
pub mod settings;
pub mod shares;
pub mod supervisor;
mod usage;

pub use archive::{ArchiveError, backup, restore};
pub use context::{ContextError, create as create_context, select as select_context};
pub use folders::{Folders, FoldersError};
pub use lock::Lock;
pub use reach::{ReachError, Supervisor};
pub use settings::{Settings, SettingsError};
pub use usage::{ProcessUsage, Usage};

/// The guest's vsock port of the engine's API.
pub const CONTROL_PORT: u32 = 1024;
