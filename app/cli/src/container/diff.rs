//! `diff`: what a container changed in its file system.

use clap::Args;
use proa_host::Request;
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `diff`.
#[derive(Args, Debug)]
pub(crate) struct Diff {
    container: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    path: String,
    kind: u8,
}

impl Act for Diff {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let changes: Option<Vec<Change>> = session
            .engine()?
            .ask(Request::get(&["containers", &self.container, "changes"]))
            .await?;
        for change in changes.unwrap_or_default() {
            let kind = match change.kind {
                0 => 'C',
                1 => 'A',
                _ => 'D',
            };
            output::line(&format!("{kind} {}", change.path))?;
        }
        Ok(Exit::OK)
    }
}
