//! `machine status`.

use std::fmt::Write as _;

use clap::Args;
use proa_host::machine::control::{Condition, Status as Told};

use super::supervisor;
use crate::failure::{Exit, Failure};
use crate::output::{self, size};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `machine status`.
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// `json`, for programs
    #[arg(short, long, value_name = "FORMAT", value_parser = ["json"])]
    format: Option<String>,
}

impl Act for Status {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let status = supervisor()?.status().await?.unwrap_or_default();
        if self.format.is_some() {
            let text = serde_json::to_string(&status)
                .map_err(|e| Failure::io("write the status", e.into()))?;
            output::line(&text)?;
        } else {
            output::write(text(&status).as_bytes())?;
        }
        Ok(Exit::OK)
    }
}

fn text(status: &Told) -> String {
    let mut text = format!("machine      {}\n", condition(&status.condition));
    // Writing to a string cannot fail.
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<12} {value}");
    };
    if status.pid == 0 {
        return text;
    }
    if status.condition == Condition::Running {
        row(
            "engine",
            format!("unix://{}", status.docker_socket.display()),
        );
        row(
            "accelerator",
            status.accelerator.clone().unwrap_or_default(),
        );
        row(
            "started in",
            format!("{} ms", status.start_milliseconds.unwrap_or_default()),
        );
    }
    let (memory, disk) = (size::binary(status.memory), size::binary(status.disk));
    row(
        "made of",
        format!("{} processors, {memory} memory, {disk} disk", status.cpus),
    );
    for share in &status.shares {
        let how = if share.readonly { " (read-only)" } else { "" };
        row("shares", format!("{}{how}", share.path.display()));
    }
    for port in &status.ports {
        row(
            "port",
            format!("{} to {} ({})", port.host, port.container, port.target),
        );
    }
    for process in &status.processes {
        row("process", format!("{} {}", process.pid, process.role));
    }
    row(
        "supervisor",
        format!("process {}, version {}", status.pid, status.version),
    );
    if let Some(version) = &status.agent_version {
        row("agent", format!("version {version}"));
    }
    for notice in &status.notices {
        row("notice", notice.clone());
    }
    text
}

fn condition(condition: &Condition) -> String {
    match condition {
        Condition::Starting { phase } => format!("starting: {phase}"),
        Condition::Failed { cause } => format!("failed: {cause}"),
        Condition::Asleep => "asleep; the next command wakes it".to_owned(),
        other => other.name().to_owned(),
    }
}
