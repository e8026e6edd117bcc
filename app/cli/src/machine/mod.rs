//! Verbs about the machine: the virtual computer in which the engine runs where it cannot run here.

pub(crate) mod archive;
pub(crate) mod hidden;
pub(crate) mod logs;
mod phases;
pub(crate) mod reset;
pub(crate) mod restart;
pub(crate) mod set;
pub(crate) mod share;
pub(crate) mod shell;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod usage;

use proa_host::machine::{Folders, Supervisor};

use crate::failure::Failure;

/// This user's.
fn supervisor() -> Result<Supervisor, Failure> {
    Ok(Supervisor::of(folders()?))
}

fn folders() -> Result<Folders, Failure> {
    Ok(Folders::here()?)
}

/// A machine that runs goes on as it was started.
async fn say_restart() -> Result<(), Failure> {
    if supervisor()?.status().await?.is_some() {
        eprintln!("This holds from the machine's next start: `proa machine restart`.");
    }
    Ok(())
}
