//! The binary `proa-agent`: the keeper, the API server, the runc-compatible command line.
//!
//! ```text
//! proa-agent serve ─▶ keeper (main process, holds the sockets) ─▶ serve (the engine and its API)
//! proa-agent init: the first process of the machine ─▶ keeper
//! proa-agent oci …, doctor, uninstall, version: run and end
//! ```
//! Routes translate HTTP to one engine call each; no rule about containers is here.

mod cli;
mod doctor;
mod fsevents;
mod hello;
mod init;
mod install;
mod listen;
mod log;
mod metrics;
mod oci;
mod routes;
mod serve;
mod server;
mod settings;
mod shares;
mod tls;

use std::process::ExitCode;

use clap::Parser;
use proa_runtime::keeper::{self, Role};

/// musl's own gives memory back at every chance and has one lock for all threads: a third of the server's time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match keeper::role() {
        Some(Role::Keeper) => {
            let code = keeper::run();
            // A monitor comes out of it too, with another id.
            if std::process::id() == 1 {
                init::off();
            }
            ExitCode::from(code)
        }
        Some(Role::Serve) => serve::as_child(),
        None => match oci::by_name(std::env::args_os().next().as_deref()) {
            Some(arguments) => oci::run(arguments),
            None => cli::Cli::parse().run(),
        },
    }
}

/// The program's version, and the Docker version whose behaviour it has.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
