//! `rm`: containers.

use clap::Args;
use proa_host::Request;

use super::each;
use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `rm`.
#[derive(Args, Debug)]
pub(crate) struct Remove {
    /// Remove it even if it runs (it is killed)
    #[arg(short, long)]
    force: bool,
    /// Remove the link, not the container
    #[arg(short, long)]
    link: bool,
    /// Remove its anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Act for Remove {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        let remove = &self;
        each::name(&self.containers, |name| async move {
            let request = Request::delete(&["containers", name.trim_start_matches('/')])
                .flag("force", remove.force)
                .flag("link", remove.link)
                .flag("v", remove.volumes);
            match engine.order(request).await {
                // As Docker: what is not there need not be removed by force.
                Err(error) if remove.force && error.is_not_found() => Ok(()),
                other => Ok(other?),
            }
        })
        .await
    }
}
