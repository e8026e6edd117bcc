//! `machine set`: what the machine is made of.

use clap::Args;
use proa_host::machine::Settings;
use proa_host::machine::settings::AcceleratorName;

use super::{folders, say_restart};
use crate::failure::{Exit, Failure};
use crate::flags::bytes;
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `machine set`.
#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Processors
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<u32>,
    /// Memory, such as 4g
    #[arg(long, value_name = "BYTES", value_parser = bytes::positive)]
    memory: Option<i64>,
    /// How large the data disk may become, such as 200g; it is never made smaller
    #[arg(long, value_name = "BYTES", value_parser = bytes::positive)]
    disk: Option<i64>,
    /// Stop after so many minutes without work, and start with the first command; 0 is never
    #[arg(long, value_name = "MINUTES")]
    idle: Option<u64>,
    /// What runs the machine's instructions
    #[arg(long, value_name = "NAME", value_parser = ["auto", "kvm", "tcg"])]
    accelerator: Option<String>,
}

impl Act for Set {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let folders = folders()?;
        let before = Settings::read(&folders)?;
        let settings = self.applied(before.clone());
        if settings.disk < before.disk && folders.disk().exists() {
            return Err(Failure::usage(
                "the data disk cannot be made smaller; `proa machine backup` and `reset` make a new one",
            ));
        }
        if settings == before {
            let text = serde_json::to_string_pretty(&settings)
                .map_err(|e| Failure::io("write the settings", e.into()))?;
            output::line(&text)?;
            return Ok(Exit::OK);
        }
        settings.write(&folders)?;
        say_restart().await?;
        Ok(Exit::OK)
    }
}

impl Set {
    fn applied(self, mut settings: Settings) -> Settings {
        let size = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
        settings.cpus = self.cpus.unwrap_or(settings.cpus);
        settings.memory = size(self.memory).unwrap_or(settings.memory);
        settings.disk = size(self.disk).unwrap_or(settings.disk);
        settings.idle_minutes = self.idle.unwrap_or(settings.idle_minutes);
        settings.accelerator = match self.accelerator.as_deref() {
            Some("auto") => AcceleratorName::Auto,
            Some("kvm") => AcceleratorName::Kvm,
            Some("tcg") => AcceleratorName::Tcg,
            _ => settings.accelerator,
        };
        settings
    }
}
