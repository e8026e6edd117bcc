//! `machine stop`.

use clap::Args;

use super::supervisor;
use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `machine stop`.
#[derive(Args, Debug)]
pub(crate) struct Stop {
    /// Pull the plug: containers are not stopped first, and what they had not written is lost
    #[arg(short, long)]
    force: bool,
}

impl Act for Stop {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        supervisor()?.stop(self.force).await?;
        Ok(Exit::OK)
    }
}
