//! `system start`: an engine on this machine.

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `system start`.
#[derive(Args, Debug)]
pub(crate) struct Start {}

impl Act for Start {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let endpoint = session.endpoint()?;
        if session
            .engine()?
            .order(proa_host::Request::get(&["_ping"]))
            .await
            .is_ok()
        {
            output::line(&format!("an engine runs at {endpoint}"))?;
            return Ok(Exit::OK);
        }
        proa_host::native::start(&endpoint).await?;
        output::line(&format!("started an engine at {endpoint}"))?;
        Ok(Exit::OK)
    }
}
