//! What tests of the whole product stand on: a private engine, a registry, images made on the spot.
//!
//! ```ignore
//! #[path = "../support/mod.rs"]
//! mod support;
//! use support::{Agent, Image, Registry};
//!
//! #[test]
//! fn a_container_prints() {
//!     let agent = Agent::start();                          // own root, run folder and socket; gone when dropped
//!     let image = agent.load(&Image::busybox());           // a name such as localhost/t-1f03:latest
//!     let out = agent.docker(&["run", "--rm", "--network", "none", &image, "echo", "hi"]);
//!     assert_eq!(out.ok(), "hi\n");                        // fails with both streams if the exit code is not 0
//!     let listed = agent.api().get("/containers/json?all=1").json();
//!     assert_eq!(listed.as_array().unwrap().len(), 0);
//!     let registry = Registry::start();                    // Debian's docker-registry on a free loopback port
//!     let name = Image::busybox().push(&registry, "demo", "1");   // 127.0.0.1:PORT/demo:1
//!     agent.docker(&["pull", &name]).ok();
//!     agent.assert_nothing_left();                         // no process, mount, cgroup or run file remains
//! }
//! ```
//!
//! The targets that use it are wired in `guest-agent/agent/Cargo.toml` and `app/cli/Cargo.toml` (`[[test]] path = …`).
//! `proa-agent` and `proa` are looked for beside the test's own binary, or in `PROA_BIN_DIR` (the guest of
//! `scripts/dev vm`); `docker`, `docker-registry` and other people's tools on PATH, then in the folder that
//! `scripts/peers.sh setup` makes.
//!
//! Nothing here skips: what cannot be started is a failure that says what is missing.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each target uses a part of this"
)]

mod agent;
mod boot_files;
mod dockerd;
mod http;
mod image;
pub mod leftovers;
pub mod network;
mod programs;
mod registry;

pub use agent::{Agent, poll};
pub use boot_files::{boot_files, boot_files_without_agent};
pub use dockerd::{Dockerd, behind, inside, inside_peers};
pub use http::{Client, Response};
pub use image::{Files, Image};
pub use network::Network;
pub use programs::{
    Ran, in_path, peer, peers_root, program, program_of_clients, python, run, run_with_input,
    short_folder,
};
pub use registry::Registry;

/// A word that no other test, process or earlier run uses.
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::UNIX_EPOCH
        .elapsed()
        .expect("the clock is past 1970")
        .subsec_nanos();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}{:05x}{count:x}", std::process::id(), nanos >> 12)
}
