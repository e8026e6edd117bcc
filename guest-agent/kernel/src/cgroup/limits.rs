//! What a cgroup limits, in the words of the OCI runtime specification: plain values, checked without the kernel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::DeviceRule;

/// Everything that may be limited. What is `None` or empty is left as the kernel made it, and on a live update as it is.
///
/// Numbers are those of the OCI runtime specification: −1 means unlimited, `swap` counts memory and swap together,
/// `cpu.shares` is version 1's 2…262144. Version 2's values are computed from them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory and swap.
    pub memory: Memory,
    /// Processor time and placement.
    pub cpu: Cpu,
    /// How many processes and threads; zero and below mean unlimited.
    pub pids: Option<i64>,
    /// Weights and throttles of block devices.
    pub block_io: BlockIo,
    /// Bytes of huge pages by page size (`2MB`, `1GB`).
    pub huge_pages: BTreeMap<String, u64>,
    /// Which devices may be made and opened, in order; the last rule that matches wins. Empty: no restriction.
    pub devices: Vec<DeviceRule>,
    /// Version 2 interface files to write as they are, after everything else.
    pub unified: BTreeMap<String, String>,
}

/// Limits of the memory controller, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// `memory.limit_in_bytes`, `memory.max`.
    pub limit: Option<i64>,
    /// `memory.soft_limit_in_bytes`, `memory.low`.
    pub reservation: Option<i64>,
    /// Memory and swap together.
    pub swap: Option<i64>,
    /// TCP buffers (version 1 only).
    pub kernel_tcp: Option<i64>,
    /// 0…100 (version 1 only).
    pub swappiness: Option<u64>,
    /// Processes wait instead of being killed (version 1 only).
    pub disable_oom_killer: Option<bool>,
}

/// Limits of the cpu and cpuset controllers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Relative weight, 2…262144; zero means "not set".
    pub shares: Option<u64>,
    /// Microseconds of processor time per period; −1 for no limit, zero means "not set".
    pub quota: Option<i64>,
    /// Length of a period in microseconds; zero means "not set".
    pub period: Option<u64>,
    /// Microseconds that unused quota may pile up to.
    pub burst: Option<u64>,
    /// Microseconds of real-time scheduling per real-time period (version 1 only).
    pub realtime_runtime: Option<i64>,
    /// Real-time period (version 1 only).
    pub realtime_period: Option<u64>,
    /// 1 makes the cgroup run only when nothing else wants to.
    pub idle: Option<i64>,
    /// Processors, as `0-2,7`.
    pub cpus: Option<String>,
    /// Memory nodes, as `0,1`.
    pub mems: Option<String>,
}

/// Limits of the blkio (version 1) or io controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockIo {
    /// 10…1000; zero means "not set".
    pub weight: Option<u16>,
    /// Weights by device.
    pub device_weights: Vec<DeviceAmount>,
    /// Bytes read per second.
    pub read_bps: Vec<DeviceAmount>,
    /// Bytes written per second.
    pub write_bps: Vec<DeviceAmount>,
    /// Reads per second.
    pub read_iops: Vec<DeviceAmount>,
    /// Writes per second.
    pub write_iops: Vec<DeviceAmount>,
}

/// A number for one block device; zero takes a throttle away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAmount {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// The amount.
    pub amount: u64,
}

/// A limit that no kernel would accept.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadLimit {
    /// Too small to run anything.
    #[error("memory limit of {0} bytes is below the minimum of {MINIMUM_MEMORY} bytes")]
    Memory(i64),
    /// Swap counts memory too.
    #[error(
        "memory and swap together ({swap} bytes) cannot be less than memory alone ({memory} bytes)"
    )]
    Swap {
        /// Memory and swap.
        swap: i64,
        /// Memory.
        memory: i64,
    },
    /// Swap is limited and memory is not.
    #[error("a swap limit of {0} bytes needs a memory limit as well")]
    SwapAlone(i64),
    /// Reservation above the limit.
    #[error("memory reservation of {reservation} bytes is above the memory limit of {limit} bytes")]
    Reservation {
        /// The reservation.
        reservation: i64,
        /// The limit.
        limit: i64,
    },
    /// Out of range.
    #[error("memory swappiness {0} is not between 0 and 100")]
    Swappiness(u64),
    /// The kernel's floor is a millisecond.
    #[error("CPU quota of {0} µs is below the minimum of 1000 µs")]
    Quota(i64),
    /// Out of range.
    #[error("CPU period of {0} µs is not between 1000 µs and 1000000 µs")]
    Period(u64),
    /// Out of range.
    #[error("block I/O weight {0} is not between 10 and 1000")]
    Weight(u64),
    /// Would write outside of the cgroup.
    #[error("{0:?} is not the name of a cgroup interface file")]
    File(String),
    /// No such list.
    #[error("{0:?} is not a list of numbers and ranges such as `0-3,7`")]
    List(String),
}

/// Less than this cannot hold a process's page tables and stack.
pub const MINIMUM_MEMORY: i64 = 128 * 1024;

impl Limits {
    /// Refuses what no kernel accepts, before anything exists that would have to be taken apart again.
    pub fn check(&self) -> Result<(), BadLimit> {
        self.memory.check()?;
        self.cpu.check()?;
        self.block_io.check()?;
        match self
            .unified
            .keys()
            .find(|name| name.contains('/') || !name.contains('.'))
        {
            Some(name) => Err(BadLimit::File(name.clone())),
            None => Ok(()),
        }
    }
}

impl Memory {
    fn check(&self) -> Result<(), BadLimit> {
        let limit = self.limit.filter(|&limit| limit > 0);
        if let Some(limit) = limit
            && limit < MINIMUM_MEMORY
        {
            return Err(BadLimit::Memory(limit));
        }
        match (self.swap.filter(|&swap| swap > 0), limit) {
            (Some(swap), Some(memory)) if swap < memory => {
                return Err(BadLimit::Swap { swap, memory });
            }
            (Some(swap), None) if self.limit == Some(-1) => return Err(BadLimit::SwapAlone(swap)),
            _ => (),
        }
        if let (Some(reservation), Some(limit)) = (self.reservation, limit)
            && reservation > limit
        {
            return Err(BadLimit::Reservation { reservation, limit });
        }
        match self.swappiness {
            Some(swappiness) if swappiness > 100 => Err(BadLimit::Swappiness(swappiness)),
            _ => Ok(()),
        }
    }
}

impl Cpu {
    fn check(&self) -> Result<(), BadLimit> {
        match self.quota {
            Some(quota) if (1..1000).contains(&quota) => return Err(BadLimit::Quota(quota)),
            _ => (),
        }
        match self.period {
            Some(period) if period != 0 && !(1_000..=1_000_000).contains(&period) => {
                return Err(BadLimit::Period(period));
            }
            _ => (),
        }
        for list in [&self.cpus, &self.mems]
            .into_iter()
            .flatten()
            .filter(|list| !list.is_empty())
        {
            parse_list(list)?;
        }
        Ok(())
    }

    pub(super) fn wants_time(&self) -> bool {
        *self
            != Self {
                cpus: self.cpus.clone(),
                mems: self.mems.clone(),
                ..Self::default()
            }
    }

    pub(super) fn wants_cpuset(&self) -> bool {
        [&self.cpus, &self.mems]
            .into_iter()
            .flatten()
            .any(|list| !list.is_empty())
    }
}

impl BlockIo {
    fn check(&self) -> Result<(), BadLimit> {
        let weights = self.device_weights.iter().map(|device| device.amount);
        let mut all = weights
            .chain(self.weight.map(u64::from))
            .filter(|&weight| weight != 0);
        match all.find(|weight| !(10..=1000).contains(weight)) {
            Some(weight) => Err(BadLimit::Weight(weight)),
            None => Ok(()),
        }
    }
}

/// The numbers that `0-2,7` stands for, in ascending order: the form of `cpuset.cpus` and of
/// `/sys/devices/system/cpu/online`.
pub fn parse_list(list: &str) -> Result<Vec<u32>, BadLimit> {
    let bad = || BadLimit::List(list.to_owned());
    let mut numbers = Vec::new();
    for part in list
        .trim()
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: u32 = first.parse().map_err(|_| bad())?;
        let last: u32 = last.parse().map_err(|_| bad())?;
        if first > last || last > 65_535 {
            return Err(bad());
        }
        numbers.extend(first..=last);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// Version 2's `cpu.weight` for version 1's `cpu.shares`: 1…10000 with 1024 ↦ 100, so that containers share the
/// processors with other cgroups as they do on version 1.
///
/// The curve is quadratic in log₂(shares) and goes through (2, 1), (1024, 100) and (262144, 10000); runc 1.3.2 and crun
/// 1.23 use the same.
pub fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0 => 0,
        1..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

/// Version 2's `io.weight` (1…10000) for version 1's block I/O weight (10…1000).
pub fn io_weight(weight: u64) -> u64 {
    if weight == 0 {
        0
    } else {
        1 + (weight.clamp(10, 1000) - 10) * 9999 / 990
    }
}

/// Version 2's `memory.swap.max` for a limit on memory and swap together; `None` leaves it alone.
pub fn swap_alone(
    memory_and_swap: Option<i64>,
    memory: Option<i64>,
) -> Result<Option<i64>, BadLimit> {
    match (memory_and_swap, memory) {
        (None | Some(0), _) => Ok(None),
        (Some(-1), _) => Ok(Some(-1)),
        (Some(swap), None | Some(0 | -1)) => Err(BadLimit::SwapAlone(swap)),
        (Some(swap), Some(memory)) if swap < memory => Err(BadLimit::Swap { swap, memory }),
        (Some(swap), Some(memory)) => Ok(Some(swap - memory)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_the_weight_that_runc_and_crun_give() {
        let expected = [
            (0, 0),
            (1, 1),
            (2, 1),
            (10, 4),
            (100, 17),
            (512, 59),
            (1024, 100),
            (1025, 101),
            (2048, 174),
        ];
        for (shares, weight) in expected {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
        assert_eq!(weight_of_shares(262_144), 10_000);
        assert_eq!(weight_of_shares(999_999), 10_000);
    }

    #[test]
    fn block_weights_span_the_whole_range() {
        assert_eq!([0, 10, 500, 1000].map(io_weight), [0, 1, 4950, 10_000]);
    }

    #[test]
    fn swap_on_version_2_is_what_is_left_after_memory() {
        assert_eq!(swap_alone(Some(300), Some(100)), Ok(Some(200)));
        assert_eq!(swap_alone(Some(100), Some(100)), Ok(Some(0)));
        assert_eq!(swap_alone(Some(-1), Some(100)), Ok(Some(-1)));
        assert_eq!(swap_alone(None, Some(100)), Ok(None));
        assert_eq!(swap_alone(Some(100), None), Err(BadLimit::SwapAlone(100)));
        assert_eq!(
            swap_alone(Some(50), Some(100)),
            Err(BadLimit::Swap {
                swap: 50,
                memory: 100
            })
        );
    }

    #[test]
    fn lists_are_numbers_and_ranges() {
        assert_eq!(parse_list("0-2,7\n"), Ok(vec![0, 1, 2, 7]));
        assert_eq!(parse_list("3,1,1"), Ok(vec![1, 3]));
        assert!(parse_list("2-1").is_err());
        assert!(parse_list("a").is_err());
    }

    #[test]
    fn what_no_kernel_accepts_is_refused_with_its_number() {
        let refused = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.check().unwrap_err().to_string()
        };
        assert!(refused(|limits| limits.memory.limit = Some(4096)).contains("4096 bytes is below"));
        assert!(refused(|limits| limits.cpu.quota = Some(10)).contains("10 µs is below"));
        assert!(refused(|limits| limits.cpu.period = Some(10)).contains("10 µs is not between"));
        assert!(refused(|limits| limits.block_io.weight = Some(5)).contains("weight 5"));
        assert!(refused(|limits| limits.cpu.cpus = Some("x".into())).contains("list of numbers"));
        assert!(
            refused(|limits| drop(limits.unified.insert("../memory.max".into(), String::new())))
                .contains("interface file")
        );
    }
}
