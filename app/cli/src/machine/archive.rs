//! `machine backup` and `machine restore`: the data disk as one compressed file.

use std::path::PathBuf;

use clap::Args;
use proa_host::machine::{backup, restore};

use super::folders;
use crate::failure::{Exit, Failure};
use crate::output::{self, size};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `machine backup`.
#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// The file to make
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Flags of `machine restore`.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// The file that `backup` made
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Act for Backup {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let copied = backup(&folders()?, &self.file)?;
        let (file, copied) = (self.file.display(), size::binary(copied));
        output::line(&format!("{copied} of the data disk are in {file}"))?;
        Ok(Exit::OK)
    }
}

impl Act for Restore {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        if let Some(kept) = restore(&folders()?, &self.file)? {
            let kept = kept.display();
            output::line(&format!("the data disk that was there is kept as {kept}"))?;
        }
        Ok(Exit::OK)
    }
}
