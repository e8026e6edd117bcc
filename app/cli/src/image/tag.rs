//! `tag`: another name for an image.

use clap::Args;
use proa_host::Request;

use super::pull::Name;
use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `tag`.
#[derive(Args, Debug)]
pub(crate) struct Tag {
    #[arg(value_name = "SOURCE_IMAGE[:TAG]")]
    source: String,
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    target: String,
}

impl Act for Tag {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let target = Name::of(&self.target);
        if target.digest.is_some() {
            return Err(Failure::usage(
                "refusing to create a tag with a digest reference",
            ));
        }
        let request = Request::post(&["images", &self.source, "tag"])
            .query("repo", target.repository)
            .query("tag", target.tag.unwrap_or("latest"));
        session.engine()?.order(request).await?;
        Ok(Exit::OK)
    }
}
