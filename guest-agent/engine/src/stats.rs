//! What a container uses, as Docker's statistics document says it.
//!
//! Two samples make a document: rates (processor use in percent) are the client's to compute from the difference.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proa_kernel::cgroup::{self, Version};
use proa_protocol::docker::stats::{
    BlkioEntry, BlkioStats, ContainerStats, CpuStats, CpuUsage, MemoryStats, NetworkStats,
    PidsStats, Throttling,
};
use proa_protocol::timestamp;

/// One reading of the counters.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// When.
    pub at: Timestamp,
    /// The container's own; empty when it does not run.
    pub used: cgroup::Stats,
    /// Processor time of the whole machine.
    pub machine: cgroup::HostCpu,
    /// Counters of each interface; none where the container has no network of its own.
    pub networks: Option<BTreeMap<String, NetworkStats>>,
}

/// The counters of each interface that a process sees, but for the loopback.
pub(crate) fn interfaces(pid: u32) -> BTreeMap<String, NetworkStats> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    let lines = text.lines().filter_map(interface);
    lines.filter(|(name, _)| name != "lo").collect()
}

/// One line of `/proc/PID/net/dev` (proc_pid_net(5)): the name, eight counters of what came in, eight of what went out.
fn interface(line: &str) -> Option<(String, NetworkStats)> {
    let (name, counters) = line.split_once(':')?;
    let numbers: Vec<u64> = counters
        .split_whitespace()
        .map_while(|number| number.parse().ok())
        .collect();
    let [
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        _,
        _,
        _,
        _,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
        ..,
    ] = numbers[..]
    else {
        return None;
    };
    let counted = NetworkStats {
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
    };
    Some((name.trim().to_owned(), counted))
}

/// What a document needs beside its samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// Full id.
    pub id: &'a str,
    /// Name with its slash, as Docker writes it here.
    pub name: &'a str,
    /// Shapes differ between the versions.
    pub version: Version,
    /// Bytes of memory of the machine: the limit where none was set.
    pub memory: u64,
}

/// The document of a running container. Without an earlier sample `precpu_stats` is empty and `preread` never.
pub(crate) fn document(
    subject: Subject<'_>,
    now: &Sample,
    before: Option<&Sample>,
) -> ContainerStats {
    ContainerStats {
        os_type: "linux".to_owned(),
        read: timestamp::document(now.at),
        preread: before.map_or_else(
            || timestamp::NEVER.to_owned(),
            |sample| timestamp::document(sample.at),
        ),
        pids_stats: pids(&now.used.pids, subject.version),
        blkio_stats: block_io(&now.used.block_io, subject.version),
        cpu_stats: cpu(now),
        precpu_stats: before.map(cpu).unwrap_or_default(),
        memory_stats: memory(&now.used.memory, subject),
        networks: now.networks.clone(),
        ..stopped(subject)
    }
}

/// The document of a container that does not run: its names and nothing else.
pub(crate) fn stopped(subject: Subject<'_>) -> ContainerStats {
    ContainerStats {
        name: subject.name.to_owned(),
        id: subject.id.to_owned(),
        os_type: "linux".to_owned(),
        read: timestamp::NEVER.to_owned(),
        preread: timestamp::NEVER.to_owned(),
        ..ContainerStats::default()
    }
}

/// Whether the controllers are those of version 1: on a hybrid host they are too.
const fn one(version: Version) -> bool {
    matches!(version, Version::V1 | Version::Hybrid)
}

fn cpu(sample: &Sample) -> CpuStats {
    let used = &sample.used.cpu;
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: used.total,
            percpu_usage: (!used.per_cpu.is_empty()).then(|| used.per_cpu.clone()),
            usage_in_kernelmode: used.kernel,
            usage_in_usermode: used.user,
        },
        system_cpu_usage: sample.machine.total,
        online_cpus: sample.machine.online,
        throttling_data: Throttling {
            periods: used.throttling.periods,
            throttled_periods: used.throttling.throttled_periods,
            throttled_time: used.throttling.throttled_time,
        },
    }
}

/// "No limit" is the machine's memory; a limit above that is too.
fn memory(used: &cgroup::MemoryStats, subject: Subject<'_>) -> MemoryStats {
    MemoryStats {
        usage: used.usage,
        // Docker leaves it out on version 2, whose counter is younger than its document.
        max_usage: if one(subject.version) {
            used.max_usage.unwrap_or(0)
        } else {
            0
        },
        stats: (!used.stat.is_empty()).then(|| used.stat.clone()),
        failcnt: if one(subject.version) {
            used.fail_count
        } else {
            0
        },
        limit: used.limit.unwrap_or(subject.memory).min(subject.memory),
    }
}

/// Version 2 says "no limit" as the largest number, version 1 as nothing.
fn pids(used: &cgroup::PidsStats, version: Version) -> PidsStats {
    let unlimited = if one(version) { 0 } else { u64::MAX };
    PidsStats {
        current: used.current,
        limit: used.limit.unwrap_or(unlimited),
    }
}

fn block_io(used: &cgroup::BlockIoStats, version: Version) -> BlkioStats {
    let list = |entries: &[cgroup::BlockIoEntry]| {
        let document = |entry: &cgroup::BlockIoEntry| BlkioEntry {
            major: entry.major,
            minor: entry.minor,
            op: entry.operation.clone(),
            value: entry.value,
        };
        entries.iter().map(document).collect::<Vec<_>>()
    };
    if !one(version) {
        let bytes = list(&used.service_bytes);
        return BlkioStats {
            io_service_bytes_recursive: (!bytes.is_empty()).then_some(bytes),
            ..BlkioStats::default()
        };
    }
    BlkioStats {
        io_service_bytes_recursive: Some(list(&used.service_bytes)),
        io_serviced_recursive: Some(list(&used.serviced)),
        io_queue_recursive: Some(list(&used.queued)),
        io_service_time_recursive: Some(list(&used.service_time)),
        io_wait_time_recursive: Some(list(&used.wait_time)),
        io_merged_recursive: Some(list(&used.merged)),
        io_time_recursive: Some(list(&used.time)),
        sectors_recursive: Some(list(&used.sectors)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(total: u64) -> Sample {
        let mut used = cgroup::Stats::default();
        used.cpu.total = total;
        used.memory.limit = Some(u64::MAX);
        Sample {
            at: Timestamp::UNIX_EPOCH,
            used,
            machine: cgroup::HostCpu {
                total: 100,
                online: 2,
            },
            networks: None,
        }
    }

    #[test]
    fn a_line_of_counters_is_read_by_its_columns() {
        let line = "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
        let (name, read) = interface(line).unwrap();
        assert_eq!(
            (name.as_str(), read.rx_bytes, read.rx_dropped),
            ("eth0", 1, 4)
        );
        assert_eq!((read.tx_bytes, read.tx_dropped), (9, 12));
        assert!(interface("Inter-|   Receive").is_none() && interface("lo: 1 2").is_none());
    }

    fn subject(version: Version) -> Subject<'static> {
        Subject {
            id: "abc",
            name: "/web",
            version,
            memory: 4096,
        }
    }

    #[test]
    fn the_second_reading_carries_the_first() {
        let first = document(subject(Version::V1), &sample(5), None);
        assert_eq!(first.precpu_stats, CpuStats::default());
        assert_eq!(first.preread, timestamp::NEVER);
        let second = document(subject(Version::V1), &sample(9), Some(&sample(5)));
        assert_eq!(second.precpu_stats, first.cpu_stats);
        assert_eq!(second.cpu_stats.cpu_usage.total_usage, 9);
    }

    #[test]
    fn no_limit_is_the_machines_memory() {
        assert_eq!(
            document(subject(Version::V2), &sample(0), None)
                .memory_stats
                .limit,
            4096
        );
    }

    #[test]
    fn empty_lists_are_lists_on_version_1_and_null_on_version_2() {
        let bytes = |version| {
            document(subject(version), &sample(0), None)
                .blkio_stats
                .io_service_bytes_recursive
        };
        assert_eq!(bytes(Version::V1), Some(Vec::new()));
        assert_eq!(bytes(Version::V2), None);
    }

    #[test]
    fn what_does_not_run_has_only_its_names() {
        let idle = stopped(subject(Version::V1));
        assert_eq!(
            (idle.name.as_str(), idle.read.as_str()),
            ("/web", timestamp::NEVER)
        );
    }
}
