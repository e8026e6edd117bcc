//! `info`: the engine, its host, and what it holds.

use clap::Args;
use proa_host::Request;
use serde_json::Value;
use std::fmt::Write as _;

use crate::failure::{Exit, Failure};
use crate::output::{self, format, size};
use crate::session::Session;
use crate::template::{Template, compact_json};
use crate::verb::Act;

/// Flags of `info`.
#[derive(Args, Debug)]
pub(crate) struct Info {
    /// json, or a template
    #[arg(short, long)]
    format: Option<String>,
}

impl Act for Info {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let info: Value = session.engine()?.ask(Request::get(&["info"])).await?;
        let text = match self.format.as_deref() {
            None | Some("") => spelled(&info),
            Some("json") => compact_json(&info) + "\n",
            Some(template) => Template::parse(&format::unescaped(template))?.render(&info)? + "\n",
        };
        output::write(text.as_bytes())?;
        for warning in info["Warnings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            eprintln!("{warning}");
        }
        Ok(Exit::OK)
    }
}

/// Labels and the fields they show, in the order of the page.
const LINES: [(&str, &str); 24] = [
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Default Runtime", "DefaultRuntime"),
    ("Init Binary", "InitBinary"),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Total Memory", "MemTotal"),
    ("Name", "Name"),
    ("ID", "ID"),
    ("Docker Root Dir", "DockerRootDir"),
    ("Debug Mode", "Debug"),
    ("Experimental", "ExperimentalBuild"),
    ("Live Restore Enabled", "LiveRestoreEnabled"),
];

fn spelled(info: &Value) -> String {
    let mut text = String::from("Server:\n");
    for (label, field) in LINES {
        let shown = match (&info[field], field) {
            (Value::Null, _) => continue,
            (Value::Number(bytes), "MemTotal") => size::binary(bytes.as_u64().unwrap_or(0)),
            (Value::String(value), _) if value.is_empty() => continue,
            (Value::String(value), _) => value.clone(),
            (other, _) => compact_json(other),
        };
        _ = writeln!(text, " {label}: {shown}");
        if field == "Driver" {
            text += &pairs(&info["DriverStatus"]);
        }
        if field == "CgroupVersion" {
            text += &plugins(&info["Plugins"]);
        }
    }
    let security = names(&info["SecurityOptions"]);
    if !security.is_empty() {
        _ = writeln!(text, " Security Options: {security}");
    }
    let registries = &info["RegistryConfig"]["InsecureRegistryCIDRs"];
    if registries.is_array() {
        _ = writeln!(text, " Insecure Registries: {}", names(registries));
    }
    text
}

fn pairs(list: &Value) -> String {
    let pairs = list.as_array().into_iter().flatten();
    pairs
        .filter_map(|pair| Some(format!("  {}: {}\n", pair[0].as_str()?, pair[1].as_str()?)))
        .collect()
}

fn plugins(plugins: &Value) -> String {
    let kinds = [("Volume", "Volume"), ("Network", "Network"), ("Log", "Log")];
    let lines = kinds
        .iter()
        .map(|(label, field)| (label, names(&plugins[field])))
        .filter(|(_, names)| !names.is_empty());
    let lines = lines.fold(String::new(), |mut text, (label, names)| {
        _ = writeln!(text, "  {label}: {names}");
        text
    });
    if lines.is_empty() {
        lines
    } else {
        format!(" Plugins:\n{lines}")
    }
}

fn names(list: &Value) -> String {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}
