//! `rename`: a container.

use clap::Args;
use proa_host::Request;

use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `rename`.
#[derive(Args, Debug)]
pub(crate) struct Rename {
    container: String,
    #[arg(value_name = "NEW_NAME")]
    name: String,
}

impl Act for Rename {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        session
            .engine()?
            .order(
                Request::post(&["containers", &self.container, "rename"]).query("name", &self.name),
            )
            .await?;
        Ok(Exit::OK)
    }
}
