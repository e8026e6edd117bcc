//! What the machine costs this computer.

use std::os::unix::fs::MetadataExt;

use serde::Serialize;

use super::control::Status;
use super::folders::Folders;

/// Sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Each process, ours among them.
    pub processes: Vec<ProcessUsage>,
    /// How large the machine sees its disk.
    pub disk_size: u64,
    /// What the disk takes up here.
    pub disk_allocated: u64,
    /// What the machine itself has on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_used: Option<u64>,
    /// What could be given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_reclaimable: Option<u64>,
    /// The machine's memory, and what programs in it could still have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total: Option<u64>,
    /// See there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_available: Option<u64>,
}

/// One process on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessUsage {
    /// What it does.
    pub role: String,
    /// Its number.
    pub pid: u32,
    /// Memory that is its own, with its part of what it shares with others.
    pub memory: u64,
    /// Processor time since it started, in milliseconds.
    pub cpu_milliseconds: u64,
}

impl Usage {
    /// What `status` and the kernel say at the moment.
    pub fn of(status: &Status, folders: &Folders) -> Self {
        let supervisor = (status.pid != 0).then(|| ("supervisor".to_owned(), status.pid));
        let others = status.processes.iter();
        let others = others.map(|process| (process.role.clone(), process.pid));
        let disk = std::fs::metadata(folders.disk()).ok();
        // `st_blocks` counts 512 bytes each, whatever the file system's own blocks are (inode(7)).
        let allocated = disk.as_ref().map_or(0, |disk| disk.blocks() * 512);
        Self {
            processes: supervisor
                .into_iter()
                .chain(others)
                .map(|(role, pid)| measured(role, pid))
                .collect(),
            disk_size: disk.map_or(0, |disk| disk.len()),
            disk_allocated: allocated,
            disk_used: status.disk_used,
            disk_reclaimable: status.disk_used.map(|used| allocated.saturating_sub(used)),
            memory_total: status.memory_total,
            memory_available: status.memory_available,
        }
    }
}

/// A process that is gone costs nothing.
#[cfg(target_os = "linux")]
fn measured(role: String, pid: u32) -> ProcessUsage {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let memory = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let memory = memory.and_then(|text| text.split_whitespace().next()?.parse().ok());
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    ProcessUsage {
        role,
        pid,
        memory: memory.unwrap_or(0_u64) * 1024,
        cpu_milliseconds: ticks(&stat) * 1000 / TICKS_A_SECOND,
    }
}

/// `_SC_CLK_TCK` is this on every Linux there is (`USER_HZ`, `include/asm-generic/param.h`).
#[cfg(target_os = "linux")]
const TICKS_A_SECOND: u64 = 100;

/// Fields 14 and 15 of proc_pid_stat(5): time in user mode and in the kernel. The name before may hold spaces.
#[cfg(target_os = "linux")]
fn ticks(stat: &str) -> u64 {
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let times = fields.split_whitespace().skip(11).take(2);
    times.filter_map(|time| time.parse::<u64>().ok()).sum()
}

/// Other systems tell it otherwise.
#[cfg(not(target_os = "linux"))]
fn measured(role: String, pid: u32) -> ProcessUsage {
    ProcessUsage {
        role,
        pid,
        ..ProcessUsage::default()
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_measured() {
        let us = measured("test".into(), std::process::id());
        assert!(us.memory > 0);
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 9 0 0 0 12 34 0 0 20 0 1 0";
        assert_eq!(ticks(stat), 46);
        assert_eq!(measured("gone".into(), u32::MAX).memory, 0);
    }
}
