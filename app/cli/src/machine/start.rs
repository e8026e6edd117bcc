//! `machine start`.

use clap::Args;

use super::phases::Phases;
use super::{folders, supervisor};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `machine start`.
#[derive(Args, Debug)]
pub(crate) struct Start {
    /// Say nothing but what goes wrong
    #[arg(short, long)]
    quiet: bool,
}

impl Act for Start {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let phases = Phases::new(self.quiet);
        let started = supervisor()?
            .start(|condition| phases.show(condition))
            .await;
        phases.finish();
        started?;
        say_where(self.quiet).await?;
        Ok(Exit::OK)
    }
}

/// Where the engine is now, and what is not as it should be.
pub(super) async fn say_where(quiet: bool) -> Result<(), Failure> {
    let status = supervisor()?.status().await?.unwrap_or_default();
    for notice in &status.notices {
        eprintln!("machine: {notice}");
    }
    if !quiet {
        let socket = folders()?.docker_socket();
        output::line(&format!(
            "the machine runs; its engine is at unix://{}",
            socket.display()
        ))?;
    }
    Ok(())
}
