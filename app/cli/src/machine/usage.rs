//! `machine usage`: what this computer pays.

use std::fmt::Write as _;

use clap::Args;
use proa_host::machine::Usage as Paid;

use super::{folders, supervisor};
use crate::failure::{Exit, Failure};
use crate::output::{self, size};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `machine usage`.
#[derive(Args, Debug)]
pub(crate) struct Usage {
    /// `json`, for programs
    #[arg(short, long, value_name = "FORMAT", value_parser = ["json"])]
    format: Option<String>,
}

impl Act for Usage {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let status = supervisor()?.status().await?.unwrap_or_default();
        let usage = Paid::of(&status, &folders()?);
        if self.format.is_some() {
            let text = serde_json::to_string(&usage)
                .map_err(|e| Failure::io("write the figures", e.into()))?;
            output::line(&text)?;
        } else {
            output::write(text(&usage).as_bytes())?;
        }
        Ok(Exit::OK)
    }
}

fn text(usage: &Paid) -> String {
    if usage.processes.is_empty() && usage.disk_size == 0 {
        return "No machine runs, and none has a disk here: it costs nothing.\n".to_owned();
    }
    let mut text = format!("{:<16} {:>10} {:>12}\n", "PROCESS", "MEMORY", "CPU TIME");
    for process in &usage.processes {
        let (memory, seconds) = (
            size::binary(process.memory),
            process.cpu_milliseconds as f64 / 1000.0,
        );
        let _ = writeln!(text, "{:<16} {memory:>10} {seconds:>10.2} s", process.role);
    }
    let allocated = size::binary(usage.disk_allocated);
    let _ = writeln!(
        text,
        "disk: {allocated} here, of at most {}",
        size::binary(usage.disk_size)
    );
    if let (Some(used), Some(reclaimable)) = (usage.disk_used, usage.disk_reclaimable) {
        let (used, reclaimable) = (size::binary(used), size::binary(reclaimable));
        let _ = writeln!(
            text,
            "      {used} in use in the machine, {reclaimable} to be given back"
        );
    }
    if let (Some(total), Some(available)) = (usage.memory_total, usage.memory_available) {
        let (total, available) = (size::binary(total), size::binary(available));
        let _ = writeln!(
            text,
            "memory in the machine: {total}, {available} of it free"
        );
    }
    text
}
