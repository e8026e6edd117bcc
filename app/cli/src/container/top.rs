//! `top`: a container's processes.

use clap::Args;
use proa_host::Request;
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::output::{self, table};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `top`.
#[derive(Args, Debug)]
pub(crate) struct Top {
    /// The container, and options of `ps`
    #[arg(
        value_name = "CONTAINER [ps OPTIONS]",
        required = true,
        trailing_var_arg = true
    )]
    words: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Processes {
    titles: Vec<String>,
    processes: Option<Vec<Vec<String>>>,
}

impl Act for Top {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let (container, options) = self
            .words
            .split_first()
            .ok_or_else(|| Failure::usage("which container?"))?;
        let request = Request::get(&["containers", container, "top"]);
        let request = request.maybe("ps_args", (!options.is_empty()).then(|| options.join(" ")));
        let found: Processes = session.engine()?.ask(request).await?;
        let rows = found.processes.unwrap_or_default();
        let lines: Vec<String> = std::iter::once(&found.titles)
            .chain(&rows)
            .map(|row| row.join("\t"))
            .collect();
        output::write(table::aligned_from(20, &lines).as_bytes())?;
        Ok(Exit::OK)
    }
}
