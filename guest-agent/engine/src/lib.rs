//! Containers, execs, volumes, logs, events: the engine's rules and its state.
//!
//! An [`Engine`] owns everything below one root folder. A [`Container`] is a handle to one container: its verbs
//! are the Docker Engine API's, and its documents are those of `proa-protocol`. Exactly one task per container
//! changes its [`State`]; everyone else sends that task a request and reads a published copy.
//!
//! Composes `images` (what a container's root is made of), `runtime` (how it becomes a process), `networks` (whom it
//! talks to) and the cgroup half of `kernel` (what it may use).
//!
//! Does not know: HTTP, sockets of clients, the host a machine runs on.
//!
//! Always true
//! * What was acknowledged survives `kill -9` of this process; what is not `--rm` survives a power cut too.
//! * A container's processes never depend on this process: see the monitor in `proa-runtime`.
//! * A delete is committed before anything is unlinked; what a crash leaves is swept at the next start.
//!
//! Start at [`Engine::open`], then [`Engine::create`] and [`Engine::container`].

mod clock;
pub mod container;
mod db;
mod engine;
mod error;
pub mod events;
pub mod exec;

pub mod id;
mod image;
mod machine;
mod names;
mod network;
mod paths;
mod pollable;
mod ps;
mod registry;
mod rootfs;
mod stats;
mod user_ids;
mod users;
pub mod volumes;

pub use container::Container;
pub use container::ListOptions;
pub use engine::{Config, Engine};
pub use error::{Error, Kind, Result};
pub use exec::Exec;
pub use image::{ImageSource, Keeping};
pub use network::settings::{clear_networks, in_other_firewalls};
/// Where images live: its values appear in this crate's functions.
pub use proa_images as images;
pub use proa_protocol::Filters;

pub mod seccomp;
pub mod spec;
pub mod system;
pub mod xray;
