//! One process per container: holds its stdio, writes its log, reaps its processes, records their exits.
//!
//! ```text
//!  keeper::Seed ──▶ run ──▶ start the first process ──failed──▶ tell, end
//!                                │ told: Launched
//!                                ▼
//!        watch: signals · listener · connections · sources ──▶ log, attached clients
//!                                │ first process reaped
//!                                ▼
//!        drain its output, finish the log, write the exit record, tell: Exited
//!                                │ every exec reaped, every client served or gone
//!                                ▼
//!                               end
//! ```
//! Single-threaded; no descriptor it polls can block it. What it allocates it frees at once, since there is one such
//! process for every container.

mod connection;
mod launch;
pub mod message;
mod oom;
mod output;
mod record;
mod requests;
mod start;
mod watch;

use std::io;

use proa_kernel::process;

use crate::keeper::Seed;
use crate::launch::Launch;
use crate::wire;

/// The monitor's life. Returns its exit code: 0 once the exit record is written, or the launch failed and that was
/// told.
pub(crate) fn run(seed: Seed) -> u8 {
    match live(seed) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("proa: monitor: {error}");
            1
        }
    }
}

fn live(seed: Seed) -> io::Result<()> {
    process::set_name("proa-monitor")?;
    let _ = rustix::process::setsid();
    let launch: Launch = wire::read_value(&seed.launch)?;
    drop(seed.launch);
    match watch::Monitor::launch(launch, seed.connection, seed.others) {
        Some(monitor) => monitor.live(),
        None => Ok(()),
    }
}
