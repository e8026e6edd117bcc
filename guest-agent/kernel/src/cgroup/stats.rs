//! What a cgroup used, as plain values, and the parsing of the kernel's files into them.

use std::collections::BTreeMap;

/// Everything that Docker's statistics and the runtime's `events --stats` show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Block devices.
    pub block_io: BlockIoStats,
    /// Processes and threads.
    pub pids: PidsStats,
    /// How long tasks waited, where the kernel says so (PSI).
    pub pressure: Pressures,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuStats {
    /// All of it.
    pub total: u64,
    /// By processor; empty on version 2, which does not count that.
    pub per_cpu: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// Outside of the kernel.
    pub user: u64,
    /// What the quota held back.
    pub throttling: Throttling,
}

/// What a processor quota held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttling {
    /// Periods that passed while something ran.
    pub periods: u64,
    /// Periods in which the quota was used up.
    pub throttled_periods: u64,
    /// Nanoseconds waited for.
    pub throttled_time: u64,
}

/// Memory in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// Now.
    pub usage: u64,
    /// Highest ever; `None` where the kernel does not keep it (version 2 before 5.19).
    pub max_usage: Option<u64>,
    /// How often the limit was hit.
    pub fail_count: u64,
    /// The limit in force; `None` for no limit.
    pub limit: Option<u64>,
    /// `memory.stat`, by the kernel's own names.
    pub stat: BTreeMap<String, u64>,
    /// How many processes the kernel killed for want of memory.
    pub oom_kills: u64,
}

/// Block I/O by device and operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockIoStats {
    /// Bytes.
    pub service_bytes: Vec<BlockIoEntry>,
    /// Operations.
    pub serviced: Vec<BlockIoEntry>,
    /// Operations waiting (only with the CFQ/BFQ statistics of version 1).
    pub queued: Vec<BlockIoEntry>,
    /// Nanoseconds on the device.
    pub service_time: Vec<BlockIoEntry>,
    /// Nanoseconds waited.
    pub wait_time: Vec<BlockIoEntry>,
    /// Requests merged into others.
    pub merged: Vec<BlockIoEntry>,
    /// Milliseconds of device time.
    pub time: Vec<BlockIoEntry>,
    /// Sectors.
    pub sectors: Vec<BlockIoEntry>,
}

/// One counter of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockIoEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// `read`, `write`, `sync`, `async`, `discard`, `total`; empty where it is not told apart.
    pub operation: String,
    /// The count.
    pub value: u64,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PidsStats {
    /// Now.
    pub current: u64,
    /// The limit in force; `None` for no limit.
    pub limit: Option<u64>,
}

/// Pressure by resource; `None` where the kernel has no such file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressures {
    /// `cpu.pressure`.
    pub cpu: Option<Pressure>,
    /// `memory.pressure`.
    pub memory: Option<Pressure>,
    /// `io.pressure`.
    pub io: Option<Pressure>,
}

impl Eq for Pressures {}

/// One pressure file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// At least one task waited.
    pub some: PressureLine,
    /// Every task waited.
    pub full: PressureLine,
}

/// Percentages of wall-clock time over the last 10, 60 and 300 seconds, and microseconds in total.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct PressureLine {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    pub total: u64,
}

/// Lines of a name and a number: `memory.stat`, `cpu.stat`, `memory.events`, version 1's `memory.oom_control`.
pub(super) fn flat(text: &str) -> BTreeMap<String, u64> {
    let pair = |line: &str| {
        let (name, value) = line.split_once(char::is_whitespace)?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// One name of a file of [`flat`]'s form, without building the whole map.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

/// A limit file: `max`, or version 1's number near 2⁶³, is no limit.
pub(super) fn limit(text: &str) -> Option<u64> {
    text.trim()
        .parse()
        .ok()
        .filter(|&value: &u64| value < 1 << 62)
}

/// Version 1's `blkio.*` files: `8:0 Read 4096`, and `8:0 4096` where operations are not told apart. The last line, a sum
/// over devices, is left out.
pub(super) fn blkio(text: &str) -> Vec<BlockIoEntry> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let rest: Vec<&str> = words.collect();
        let (operation, value) = match rest[..] {
            [operation, value] => (operation.to_lowercase(), value),
            [value] => (String::new(), value),
            _ => return None,
        };
        let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
        Some(BlockIoEntry {
            major,
            minor,
            operation,
            value: value.parse().ok()?,
        })
    };
    text.lines().filter_map(entry).collect()
}

/// Version 2's `io.stat`: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`.
pub(super) fn io_stat(text: &str) -> BlockIoStats {
    let mut stats = BlockIoStats::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else {
            continue;
        };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else {
            continue;
        };
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let (list, operation) = match name {
                "rbytes" => (&mut stats.service_bytes, "read"),
                "wbytes" => (&mut stats.service_bytes, "write"),
                "rios" => (&mut stats.serviced, "read"),
                "wios" => (&mut stats.serviced, "write"),
                _ => continue,
            };
            if let Ok(value) = value.parse() {
                list.push(BlockIoEntry {
                    major,
                    minor,
                    operation: operation.to_owned(),
                    value,
                });
            }
        }
    }
    stats
}

/// A pressure file: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, then `full …`.
pub(super) fn pressure(text: &str) -> Option<Pressure> {
    let mut pressure = Pressure::default();
    let mut seen = false;
    for line in text.lines() {
        let (kind, rest) = line.split_once(' ')?;
        let number = |name: &str| {
            rest.split(' ')
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let share = |name| {
            number(name)
                .and_then(|value| value.parse().ok())
                .unwrap_or_default()
        };
        let total = number("total")
            .and_then(|value| value.parse().ok())
            .unwrap_or_default();
        let parsed = PressureLine {
            avg10: share("avg10"),
            avg60: share("avg60"),
            avg300: share("avg300"),
            total,
        };
        match kind {
            "some" => pressure.some = parsed,
            "full" => pressure.full = parsed,
            _ => return None,
        }
        seen = true;
    }
    seen.then_some(pressure)
}

/// Version 2's `cpu.stat`, which counts in microseconds.
pub(super) fn cpu_stat(text: &str) -> CpuStats {
    let nanoseconds = |name| field(text, name).unwrap_or_default() * 1000;
    let count = |name| field(text, name).unwrap_or_default();
    CpuStats {
        total: nanoseconds("usage_usec"),
        per_cpu: Vec::new(),
        kernel: nanoseconds("system_usec"),
        user: nanoseconds("user_usec"),
        throttling: Throttling {
            periods: count("nr_periods"),
            throttled_periods: count("nr_throttled"),
            throttled_time: nanoseconds("throttled_usec"),
        },
    }
}

/// Version 1's throttling lines of `cpu.stat`, which count in nanoseconds.
pub(super) fn throttling(text: &str) -> Throttling {
    let count = |name| field(text, name).unwrap_or_default();
    Throttling {
        periods: count("nr_periods"),
        throttled_periods: count("nr_throttled"),
        throttled_time: count("throttled_time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(major: u64, operation: &str, value: u64) -> BlockIoEntry {
        BlockIoEntry {
            major,
            minor: 0,
            operation: operation.to_owned(),
            value,
        }
    }

    #[test]
    fn blkio_lines_are_read_without_the_sum() {
        let text = "8:0 Read 4096\n8:0 Total 4096\nTotal 4096\n";
        assert_eq!(
            blkio(text),
            [entry(8, "read", 4096), entry(8, "total", 4096)]
        );
        assert_eq!(blkio("8:0 12\n"), [entry(8, "", 12)]);
        assert_eq!(blkio(""), []);
    }

    #[test]
    fn io_stat_is_split_into_bytes_and_operations() {
        let stats = io_stat("253:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n7:0 \n");
        assert_eq!(
            stats.service_bytes,
            [entry(253, "read", 1), entry(253, "write", 2)]
        );
        assert_eq!(
            stats.serviced,
            [entry(253, "read", 3), entry(253, "write", 4)]
        );
    }

    #[test]
    fn cpu_stat_is_turned_into_nanoseconds() {
        let stats = cpu_stat(
            "usage_usec 7\nuser_usec 3\nsystem_usec 4\nnr_periods 2\nnr_throttled 1\nthrottled_usec 9\n",
        );
        assert_eq!((stats.total, stats.user, stats.kernel), (7000, 3000, 4000));
        assert_eq!(
            stats.throttling,
            Throttling {
                periods: 2,
                throttled_periods: 1,
                throttled_time: 9000
            }
        );
    }

    #[test]
    fn no_limit_is_none_on_both_versions() {
        assert_eq!(limit("max\n"), None);
        assert_eq!(limit("9223372036854771712\n"), None);
        assert_eq!(limit("268435456\n"), Some(268_435_456));
    }

    #[test]
    fn pressure_has_two_lines() {
        let text = "some avg10=1.50 avg60=0.00 avg300=0.25 total=42\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        let parsed = pressure(text).unwrap();
        assert!(
            (parsed.some.avg10 - 1.5).abs() < 1e-9
                && parsed.some.total == 42
                && parsed.full.total == 7
        );
        assert_eq!(pressure(""), None);
    }

    #[test]
    fn flat_files_are_maps() {
        let events = "low 0\noom_kill 3\n";
        assert_eq!(flat(events)["oom_kill"], 3);
        assert_eq!(field(events, "oom_kill"), Some(3));
        assert_eq!(field("oom_kill_disable 0\noom_kill 2", "oom_kill"), Some(2));
        assert_eq!(field(events, "oom"), None);
    }
}
