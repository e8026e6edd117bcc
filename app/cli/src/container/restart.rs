//! `restart`: stop, then start.

use clap::Args;
use proa_host::Request;

use super::each;
use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `restart`.
#[derive(Args, Debug)]
pub(crate) struct Restart {
    /// Signal to send first
    #[arg(short, long)]
    signal: Option<String>,
    /// Seconds to wait before it is killed
    #[arg(
        short = 't',
        long = "timeout",
        visible_alias = "time",
        allow_negative_numbers = true
    )]
    timeout: Option<i64>,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Act for Restart {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        let flags = &self;
        each::name(&self.containers, |name| async move {
            let request = Request::post(&["containers", &name, "restart"])
                .maybe("t", flags.timeout)
                .maybe("signal", flags.signal.as_ref());
            Ok(engine.order(request).await?)
        })
        .await
    }
}
