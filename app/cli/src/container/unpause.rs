//! `unpause`: let all processes go on.

use clap::Args;
use proa_host::Request;

use super::each;
use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `unpause`.
#[derive(Args, Debug)]
pub(crate) struct Unpause {
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Act for Unpause {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        each::name(&self.containers, |name| async move {
            let request = Request::post(&["containers", &name, "unpause"]);
            Ok(engine.order(request).await?)
        })
        .await
    }
}
