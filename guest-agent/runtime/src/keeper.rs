//! The service's main process: tiny, single-threaded, holds what must outlive `serve`, and spawns everything.
//!
//! ```text
//! main ─ keeper::enter(listeners, serve's arguments) ─▶ re-executes itself from a sealed copy
//!           │
//!           ▼ role() == Some(Role::Keeper)        ▼ role() == Some(Role::Serve)
//!        keeper::run()                          Inherited::take(): listeners and the Keeper client
//! ```
//! The binary's `main` asks [`role`] before anything else, and returns what [`run`] returns: the same process may
//! come out of it as a monitor that has done its work.
//!
//! What is handed from one program to the next is told in one environment variable: the role, then descriptor
//! numbers.

mod inherit;
pub(crate) mod message;
mod serve;
mod spare;
mod watch;

pub use inherit::{Inherited, Role, enter, role};

use std::io;
use std::os::fd::OwnedFd;

use crate::monitor;
use message::Use;

/// What a monitor is born with.
#[derive(Debug)]
pub(crate) struct Seed {
    /// Memfd with the encoded `Launch`.
    pub(crate) launch: OwnedFd,
    /// Its first connection.
    pub(crate) connection: OwnedFd,
    /// Descriptors and what they are for.
    pub(crate) others: Vec<(Use, OwnedFd)>,
}

/// How the keeper's loop ends.
pub(crate) enum Outcome {
    /// Asked to stop, or `serve` cannot run: the exit code.
    Stopped(u8),
    /// This process is a new child of the keeper, to live as a monitor. It owns nothing of the keeper's any more.
    Monitor(Seed),
    /// The same, before its container is known.
    Spare(OwnedFd),
}

/// The keeper's life, in the role [`Role::Keeper`]. Returns this process's exit code.
pub fn run() -> u8 {
    finish(inherit::keeper().and_then(watch::Keeper::live))
}

/// A keeper without a `serve` of its own, for a program that is the client itself: `control` is the keeper's
/// end of the pair whose other end makes a [`crate::client::Keeper`]. Ends when that one is closed.
pub fn run_for(control: OwnedFd) -> u8 {
    finish(watch::Keeper::attached(control).and_then(watch::Keeper::live))
}

fn finish(outcome: io::Result<Outcome>) -> u8 {
    match outcome {
        Ok(Outcome::Stopped(code)) => code,
        Ok(Outcome::Monitor(seed)) => monitor::run(seed),
        Ok(Outcome::Spare(socket)) => match spare::wait(socket) {
            Ok(Some(seed)) => monitor::run(seed),
            Ok(None) => 0,
            Err(error) => {
                eprintln!("proa: monitor: hear from the keeper: {error}");
                1
            }
        },
        Err(error) => {
            eprintln!("proa: keeper: {error}");
            1
        }
    }
}
