//! `export`: a container's file system as a tar file.

use clap::Args;
use proa_host::Request;

use crate::failure::{Exit, Failure};
use crate::output::archive;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `export`.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// Write to this file instead of standard output
    #[arg(short, long)]
    output: Option<String>,
    container: String,
}

impl Act for Export {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let request = Request::get(&["containers", &self.container, "export"]);
        archive::download(session.engine()?, request, self.output.as_deref()).await
    }
}
