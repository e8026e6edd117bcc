//! `kill`: send a signal.

use clap::Args;
use proa_host::Request;

use super::each;
use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `kill`.
#[derive(Args, Debug)]
pub(crate) struct Kill {
    /// Signal to send
    #[arg(short, long, default_value = "KILL")]
    signal: String,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Act for Kill {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        let flags = &self;
        each::name(&self.containers, |name| async move {
            let request =
                Request::post(&["containers", &name, "kill"]).query("signal", &flags.signal);
            Ok(engine.order(request).await?)
        })
        .await
    }
}
