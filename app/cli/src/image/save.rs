//! `save`: images as a tar file.

use clap::Args;
use proa_host::Request;

use super::platform_document;
use crate::failure::{Exit, Failure};
use crate::output::archive;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `save`.
#[derive(Args, Debug)]
pub(crate) struct Save {
    /// Write to this file instead of standard output
    #[arg(short, long)]
    output: Option<String>,
    /// Save only this platform's variant
    #[arg(long)]
    platform: Option<String>,
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

impl Act for Save {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let request = Request::get(&["images", "get"]);
        let request = self
            .images
            .iter()
            .fold(request, |request, image| request.query("names", image));
        let request = request.maybe("platform", self.platform.as_deref().map(platform_document));
        archive::download(session.engine()?, request, self.output.as_deref()).await
    }
}
