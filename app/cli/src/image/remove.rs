//! `rmi`: images, or names of them.

use clap::Args;
use proa_host::Request;
use serde::Deserialize;

use super::platform_document;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `rmi`.
#[derive(Args, Debug)]
pub(crate) struct Remove {
    /// Remove it even if it has several names or stopped containers use it
    #[arg(short, long)]
    force: bool,
    /// Keep parents that have no name
    #[arg(long)]
    no_prune: bool,
    /// Remove only this platform's variant
    #[arg(long)]
    platform: Vec<String>,
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Removed {
    untagged: Option<String>,
    deleted: Option<String>,
}

impl Act for Remove {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        let mut failed = false;
        for image in &self.images {
            let mut request = Request::delete(&["images", image])
                .flag("force", self.force)
                .flag("noprune", self.no_prune);
            for platform in &self.platform {
                request = request.query("platforms", &platform_document(platform));
            }
            match engine.ask::<Vec<Removed>>(request).await {
                Ok(removed) => {
                    for removed in removed {
                        if let Some(name) = removed.untagged {
                            output::line(&format!("Untagged: {name}"))?;
                        }
                        if let Some(id) = removed.deleted {
                            output::line(&format!("Deleted: {id}"))?;
                        }
                    }
                }
                Err(error) if self.force && error.is_not_found() => Failure::from(error).report(),
                Err(error) => {
                    Failure::from(error).report();
                    failed = true;
                }
            }
        }
        if failed {
            Err(Failure::Reported)
        } else {
            Ok(Exit::OK)
        }
    }
}
