//! `state`: what a container is doing.

use std::fs;

use proa_runtime::OCI_VERSION;
use serde::Serialize;

use super::arguments::Globals;
use super::error::OciError;
use super::group;
use super::report;
use super::store::{Folder, Record};

/// The document that `state` prints (runtime-spec, `runtime.md`), with what runc adds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    oci_version: &'static str,
    pub(super) id: String,
    pub(super) pid: i32,
    pub(super) status: &'static str,
    pub(super) bundle: std::path::PathBuf,
    rootfs: std::path::PathBuf,
    pub(super) created: String,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    annotations: std::collections::BTreeMap<String, String>,
    owner: &'static str,
}

impl Document {
    pub(super) fn of(record: Record) -> Self {
        let status = status(&record);
        Self {
            oci_version: OCI_VERSION,
            id: record.id,
            pid: if status == STOPPED { 0 } else { record.pid },
            status,
            bundle: record.bundle,
            rootfs: record.rootfs,
            created: record.created,
            annotations: record.annotations,
            owner: "",
        }
    }
}

pub(super) const CREATED: &str = "created";
pub(super) const RUNNING: &str = "running";
pub(super) const PAUSED: &str = "paused";
pub(super) const STOPPED: &str = "stopped";

/// The state by what the kernel says.
pub(super) fn status(record: &Record) -> &'static str {
    if start_time(record.pid) != Some(record.start_time) {
        STOPPED
    } else if !record.started {
        CREATED
    } else if group::open(record).is_ok_and(|cgroup| cgroup.frozen()) {
        PAUSED
    } else {
        RUNNING
    }
}

/// When a process began, in ticks since boot; `None` if it is gone or has ended (`proc_pid_stat(5)`).
pub(super) fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        None
    } else {
        fields.nth(18)?.parse().ok()
    }
}

/// Prints the state of a container.
pub(super) fn show(globals: &Globals, id: &str) -> Result<(), OciError> {
    let record = Folder::open(globals, id)?.record(id)?;
    report::print_json(&Document::of(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_began_and_a_missing_one_did_not() {
        assert!(start_time(std::process::id().cast_signed()).is_some());
        assert_eq!(start_time(0), None);
    }
}
