//! `machine restart`.

use clap::Args;

use super::phases::Phases;
use super::start::say_where;
use super::supervisor;
use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `machine restart`.
#[derive(Args, Debug)]
pub(crate) struct Restart {
    /// Say nothing but what goes wrong
    #[arg(short, long)]
    quiet: bool,
}

impl Act for Restart {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let phases = Phases::new(self.quiet);
        let started = supervisor()?
            .restart(|condition| phases.show(condition))
            .await;
        phases.finish();
        started?;
        say_where(self.quiet).await?;
        Ok(Exit::OK)
    }
}
