//! `machine share`, `unshare` and `shares`: the folders of this host that the machine sees.

use std::path::{Path, PathBuf};

use clap::Args;
use proa_host::machine::Settings;
use proa_host::machine::shares::{SharedFolder, tidied};

use super::{folders, say_restart};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `machine share`.
#[derive(Args, Debug)]
pub(crate) struct Share {
    /// Containers may only read in it
    #[arg(long)]
    read_only: bool,
    /// The folder
    #[arg(value_name = "FOLDER")]
    path: PathBuf,
}

/// Flags of `machine unshare`.
#[derive(Args, Debug)]
pub(crate) struct Unshare {
    /// The folder
    #[arg(value_name = "FOLDER")]
    path: PathBuf,
}

/// Flags of `machine shares`.
#[derive(Args, Debug)]
pub(crate) struct Shares {
    /// `json`, for programs
    #[arg(short, long, value_name = "FORMAT", value_parser = ["json"])]
    format: Option<String>,
}

impl Act for Share {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let path = absolute(&self.path)?;
        if !path.is_dir() {
            let words = format!(
                "{} is not a folder; only folders are shared",
                path.display()
            );
            return Err(Failure::usage(words));
        }
        let folders = folders()?;
        let mut settings = Settings::read(&folders)?;
        settings.shares.retain(|share| share.path != path);
        settings.shares.push(SharedFolder {
            path,
            readonly: self.read_only,
        });
        settings.write(&folders)?;
        say_restart().await?;
        Ok(Exit::OK)
    }
}

impl Act for Unshare {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let path = absolute(&self.path)?;
        let folders = folders()?;
        let mut settings = Settings::read(&folders)?;
        let before = settings.shares.len();
        settings.shares.retain(|share| share.path != path);
        if settings.shares.len() == before {
            let words = format!(
                "{} is not shared; `proa machine shares` lists what is",
                path.display()
            );
            return Err(Failure::usage(words));
        }
        settings.write(&folders)?;
        say_restart().await?;
        Ok(Exit::OK)
    }
}

impl Act for Shares {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let settings = Settings::read(&folders()?)?;
        if self.format.is_some() {
            let text = serde_json::to_string(&settings.shares)
                .map_err(|e| Failure::io("write the list", e.into()))?;
            output::line(&text)?;
            return Ok(Exit::OK);
        }
        for share in &settings.shares {
            let how = if share.readonly { " (read-only)" } else { "" };
            output::line(&format!("{}{how}", share.path.display()))?;
        }
        Ok(Exit::OK)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let path = std::path::absolute(path)
        .map_err(|e| Failure::io(format!("find the folder {}", path.display()), e))?;
    Ok(tidied(&path))
}
