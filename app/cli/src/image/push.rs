//! `push`: an image to a registry.

use clap::Args;
use proa_host::Request;
use proa_host::credentials::{Credentials, Settings, server_of_image};

use super::platform_document;
use super::pull::Name;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::output::progress::{self, Show, Step};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `push`.
#[derive(Args, Debug)]
pub(crate) struct Push {
    /// Upload all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Upload only this platform's variant
    #[arg(long)]
    platform: Option<String>,
    /// Print the name only
    #[arg(short, long)]
    quiet: bool,
    /// For compatibility; images are never signed here
    #[arg(long, hide = true)]
    disable_content_trust: bool,
    #[arg(value_name = "NAME[:TAG]")]
    image: String,
}

impl Act for Push {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let name = Name::of(&self.image);
        if self.all_tags && name.tag.is_some() {
            return Err(Failure::usage("tag can't be used with --all-tags/-a"));
        }
        if !self.quiet && !self.all_tags && name.tag.is_none() {
            output::line("Using default tag: latest")?;
        }
        let tag = if self.all_tags {
            None
        } else {
            Some(name.tag.unwrap_or("latest"))
        };
        // The engine wants the header even of those whom it does not know.
        let credentials = Settings::load()?
            .find(&server_of_image(name.repository))?
            .unwrap_or_else(Credentials::default);
        let request = Request::post(&["images", name.repository, "push"])
            .maybe("tag", tag)
            .maybe("platform", self.platform.as_deref().map(platform_document))
            .header("x-registry-auth", credentials.header());
        let show = if self.quiet {
            Show::Nothing
        } else {
            Show::OnStdout
        };
        progress::follow(session.engine()?.send(request).await?.lines::<Step>(), show).await?;
        if self.quiet {
            output::line(&tag.map_or(name.repository.to_owned(), |tag| {
                format!("{}:{tag}", name.repository)
            }))?;
        }
        Ok(Exit::OK)
    }
}
