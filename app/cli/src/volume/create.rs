//! `volume create`.

use clap::Args;
use proa_host::Request;
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::flags::document::Document;
use crate::flags::pairs;
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `volume create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// Driver
    #[arg(short, long, default_value = "local")]
    driver: String,
    /// Add a label
    #[arg(long)]
    label: Vec<String>,
    /// Option of the driver
    #[arg(short, long)]
    opt: Vec<String>,
    #[arg(value_name = "VOLUME")]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    name: String,
}

impl Act for Create {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let mut document = Document::default();
        document
            .put("Name", self.name)
            .put("Driver", self.driver)
            .put("DriverOpts", pairs::map(&self.opt))
            .put("Labels", pairs::map(&self.label));
        let created: Created = session
            .engine()?
            .ask(Request::post(&["volumes", "create"]).json(&document))
            .await?;
        output::line(&created.name)?;
        Ok(Exit::OK)
    }
}
