//! The machine's own counters, which statistics are set against.

use std::{fs, io};

use super::limits::parse_list;

/// `USER_HZ` is 100 on every architecture this is built for.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

/// Processor time of the whole machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCpu {
    /// Nanoseconds of all processors together, idle time included, waiting for I/O too.
    pub total: u64,
    /// Processors that are switched on.
    pub online: u32,
}

/// Reads `/proc/stat`.
pub fn host_cpu() -> io::Result<HostCpu> {
    let stat = fs::read_to_string("/proc/stat")?;
    let online = fs::read_to_string("/sys/devices/system/cpu/online").ok();
    let online = online
        .and_then(|list| parse_list(&list).ok())
        .map_or(0, |cpus| cpus.len() as u32);
    let counted = parse_stat(&stat);
    Ok(HostCpu {
        online: if online == 0 { counted.online } else { online },
        ..counted
    })
}

/// Bytes of memory that the machine has (`MemTotal`).
pub fn host_memory() -> io::Result<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes =
        line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| io::Error::other("no MemTotal in /proc/meminfo"))
}

/// Sums the first seven columns of the `cpu` line (user to softirq), as Docker does; guest time is in user time already.
fn parse_stat(stat: &str) -> HostCpu {
    let mut host = HostCpu::default();
    for line in stat.lines() {
        let Some(rest) = line.strip_prefix("cpu") else {
            continue;
        };
        if rest.starts_with(' ') {
            let ticks: u64 = rest
                .split_whitespace()
                .take(7)
                .filter_map(|word| word.parse::<u64>().ok())
                .sum();
            host.total = ticks * NANOSECONDS_PER_TICK;
        } else {
            host.online += 1;
        }
    }
    host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_columns_count() {
        let stat = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1\ncpu1 1 1\nintr 5\n";
        assert_eq!(
            parse_stat(stat),
            HostCpu {
                total: 28 * 10_000_000,
                online: 2
            }
        );
    }

    #[test]
    fn this_machine_counts() {
        let host = host_cpu().unwrap();
        assert!(host.online > 0 && host.total > 0);
        assert!(host_memory().unwrap() > 1 << 20);
    }
}
