//! `load`: images from a tar file.

use clap::Args;
use proa_host::Request;

use super::platform_document;
use crate::failure::{Exit, Failure};
use crate::output::archive;
use crate::output::progress::{self, Show, Step};
use crate::session::Session;
use crate::terminal;
use crate::verb::Act;

/// Flags of `load`.
#[derive(Args, Debug)]
pub(crate) struct Load {
    /// Read this file instead of standard input
    #[arg(short, long)]
    input: Option<String>,
    /// Load only this platform's variant
    #[arg(long)]
    platform: Option<String>,
    /// Show the result only
    #[arg(short, long)]
    quiet: bool,
}

impl Act for Load {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let request = Request::post(&["images", "load"])
            .query(
                "quiet",
                if self.quiet || !terminal::stdout_is_one() {
                    "1"
                } else {
                    "0"
                },
            )
            .maybe("platform", self.platform.as_deref().map(platform_document))
            .upload(archive::upload_of(self.input.as_deref())?);
        let answer = session.engine()?.send(request).await?;
        progress::follow(answer.lines::<Step>(), Show::OnStdout).await?;
        Ok(Exit::OK)
    }
}
