//! `volume rm`.

use clap::Args;
use proa_host::Request;

use crate::container::each;
use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `volume rm`.
#[derive(Args, Debug)]
pub(crate) struct Remove {
    /// Do not mind those that are not there
    #[arg(short, long)]
    force: bool,
    #[arg(value_name = "VOLUME", required = true)]
    names: Vec<String>,
}

impl Act for Remove {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        let force = self.force;
        each::name(&self.names, |name| async move {
            match engine
                .order(Request::delete(&["volumes", &name]).flag("force", force))
                .await
            {
                Err(error) if force && error.is_not_found() => Ok(()),
                other => Ok(other?),
            }
        })
        .await
    }
}
