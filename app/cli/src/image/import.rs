//! `import`: an image from a tar file of a root file system.

use std::fs::File;
use std::io;

use clap::Args;
use proa_host::Request;

use super::platform;
use super::pull::Name;
use crate::failure::{Exit, Failure};
use crate::output::archive;
use crate::output::progress::{self, Show, Step};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `import`.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// Change its configuration by an instruction of a Dockerfile
    #[arg(short, long)]
    change: Vec<String>,
    /// What it is
    #[arg(short, long)]
    message: Option<String>,
    /// The platform it is for (os/arch/variant)
    #[arg(long)]
    platform: Option<String>,
    #[arg(value_name = "file|URL|-")]
    source: String,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    image: Option<String>,
}

impl Act for Import {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let remote = self.source.starts_with("http://") || self.source.starts_with("https://");
        let name = self.image.as_deref().map(Name::of);
        let mut request = Request::post(&["images", "create"])
            .query("fromSrc", if remote { &self.source } else { "-" })
            .maybe("repo", name.as_ref().map(|name| name.repository))
            .maybe("tag", name.as_ref().and_then(|name| name.tag))
            .maybe("message", self.message.as_ref())
            .maybe("platform", platform(self.platform.as_ref()));
        for change in &self.change {
            request = request.query("changes", change);
        }
        if !remote {
            request = request.upload(match self.source.as_str() {
                "-" => archive::upload(io::stdin()),
                path => archive::upload(
                    File::open(path)
                        .map_err(|source| Failure::io(format!("open {path}"), source))?,
                ),
            });
        }
        let answer = session.engine()?.send(request).await?;
        progress::follow(answer.lines::<Step>(), Show::OnStdout).await?;
        Ok(Exit::OK)
    }
}
