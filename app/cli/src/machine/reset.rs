//! `machine reset`: everything in the machine is thrown away.

use clap::Args;

use super::{folders, supervisor};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::terminal;
use crate::verb::Act;

/// Flags of `machine reset`.
#[derive(Args, Debug)]
pub(crate) struct Reset {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Forget what was set, too
    #[arg(long)]
    settings: bool,
}

impl Act for Reset {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let folders = folders()?;
        let question =
            "This removes every container, image and volume in the machine. Are you sure?";
        if !self.force && !terminal::prompt::confirm(question)? {
            return Ok(Exit(1));
        }
        supervisor()?.stop(true).await?;
        let mut files = vec![folders.disk(), folders.console()];
        if self.settings {
            files.push(folders.settings());
        }
        for file in files {
            match std::fs::remove_file(&file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::io(format!("remove {}", file.display()), e));
                }
                _ => {}
            }
        }
        output::line("the machine is as new")?;
        Ok(Exit::OK)
    }
}
