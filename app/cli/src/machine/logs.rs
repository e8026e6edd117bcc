//! `machine logs`: what the machine's kernel and agent say, and what its supervisor says.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::folders;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `machine logs`.
#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// The supervisor's rather than the machine's
    #[arg(long)]
    supervisor: bool,
    /// Show what is added, too
    #[arg(short, long)]
    follow: bool,
}

/// How often a file is looked at that is followed.
const LOOK: Duration = Duration::from_millis(300);

impl Act for Logs {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let folders = folders()?;
        let path = if self.supervisor {
            folders.supervisor_log()
        } else {
            folders.console()
        };
        if !path.exists() {
            let words =
                "there is no log yet, since no machine has been started; `proa machine start` does";
            return Err(Failure::usage(words));
        }
        let mut read = show(&path, 0)?;
        if !self.follow {
            return Ok(Exit::OK);
        }
        loop {
            tokio::time::sleep(LOOK).await;
            read = show(&path, read)?;
        }
    }
}

/// Shows what lies behind the first `read` bytes; a file that became shorter was begun anew.
fn show(path: &Path, read: u64) -> Result<u64, Failure> {
    let failed = |e| Failure::io(format!("read {}", path.display()), e);
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let from = if length < read { 0 } else { read };
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    output::write(&bytes)?;
    Ok(from + bytes.len() as u64)
}
