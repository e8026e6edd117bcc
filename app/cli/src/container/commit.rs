//! `commit`: an image of what a container changed.

use clap::Args;
use proa_host::Request;
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::image::pull::Name;
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `commit`.
#[derive(Args, Debug)]
pub(crate) struct Commit {
    /// Who made it
    #[arg(short, long)]
    author: Option<String>,
    /// Change its configuration by an instruction of a Dockerfile
    #[arg(short, long)]
    change: Vec<String>,
    /// What it is
    #[arg(short, long)]
    message: Option<String>,
    /// Pause the container meanwhile
    #[arg(short, long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    pause: bool,
    container: String,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    image: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Committed {
    id: String,
}

impl Act for Commit {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let name = self.image.as_deref().map(Name::of);
        let mut request = Request::post(&["commit"])
            .query("container", &self.container)
            .maybe("repo", name.as_ref().map(|name| name.repository))
            .maybe("tag", name.as_ref().and_then(|name| name.tag))
            .maybe("comment", self.message.as_ref())
            .maybe("author", self.author.as_ref());
        if !self.pause {
            request = request.query("pause", "0");
        }
        for change in &self.change {
            request = request.query("changes", change);
        }
        let committed: Committed = session
            .engine()?
            .ask(request.json(&serde_json::json!({})))
            .await?;
        output::line(&committed.id)?;
        Ok(Exit::OK)
    }
}
