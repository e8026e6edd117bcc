//! `network disconnect`.

use clap::Args;
use proa_host::Request;

use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `network disconnect`.
#[derive(Args, Debug)]
pub(crate) struct Disconnect {
    /// Disconnect it whatever its state
    #[arg(short, long)]
    force: bool,
    network: String,
    container: String,
}

impl Act for Disconnect {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let document = serde_json::json!({"Container": self.container, "Force": self.force});
        session
            .engine()?
            .order(Request::post(&["networks", &self.network, "disconnect"]).json(&document))
            .await?;
        Ok(Exit::OK)
    }
}
