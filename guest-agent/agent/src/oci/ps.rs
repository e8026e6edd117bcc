//! `ps`.

use std::fmt::Write as _;
use std::fs;

use super::arguments::{Globals, PsArguments, TableFormat};
use super::error::OciError;
use super::store::Folder;
use super::{group, report};

/// Lists a container's processes, as the host numbers them.
pub(super) fn show(globals: &Globals, arguments: &PsArguments) -> Result<(), OciError> {
    let record = Folder::open(globals, &arguments.id)?.record(&arguments.id)?;
    let pids = group::open(&record)?.pids()?;
    if arguments.format == TableFormat::Json {
        return report::print(&format!("{}\n", serde_json::json!(pids)));
    }
    let mut table = format!("{:<12}{:>8}{:>8}  {}\n", "UID", "PID", "PPID", "CMD");
    for (pid, process) in pids
        .into_iter()
        .filter_map(|pid| Some((pid, Process::read(pid)?)))
    {
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{:<12}{pid:>8}{:>8}  {}",
            process.uid, process.parent, process.command
        );
    }
    report::print(&table)
}

struct Process {
    uid: String,
    parent: String,
    command: String,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next().map(str::to_owned)
        };
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut command = String::from_utf8_lossy(&arguments)
            .replace('\0', " ")
            .trim_end()
            .to_owned();
        if command.is_empty() {
            command = format!("[{}]", field("Name:")?);
        }
        Some(Self {
            uid: field("Uid:")?,
            parent: field("PPid:")?,
            command,
        })
    }
}
