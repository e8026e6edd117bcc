//! Version 1: one directory per controller that is used.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::files::{read_if_there, read_number, read_pids, write, write_limit};
use super::limits::{BlockIo, Cpu, Limits, Memory};
use super::stats::{BlockIoStats, CpuStats, MemoryStats, PidsStats, Stats};
use super::{Cgroup, CgroupError, Controller, DeviceAmount, DeviceRule, devices, files, stats, v2};

/// Controllers that every cgroup uses: they count what statistics show, share out processor time, and guard devices.
///
/// Each costs about 70 µs for making, entering and removing, which is why cpuset, hugetlb and (where a version 2 tree can
/// freeze) freezer are left out until a limit asks for them.
const ALWAYS: [Controller; 6] = [
    Controller::Cpu,
    Controller::Cpuacct,
    Controller::Memory,
    Controller::Blkio,
    Controller::Pids,
    Controller::Devices,
];

/// `USER_HZ` is 100 on every architecture this is built for.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

pub(super) fn create(group: &Cgroup, limits: &Limits) -> Result<(), CgroupError> {
    let mut wanted: Vec<Controller> = ALWAYS.to_vec();
    if group.hierarchy.unified().is_none() {
        wanted.push(Controller::Freezer);
    }
    let mut made = Vec::new();
    for directory in wanted
        .into_iter()
        .filter_map(|controller| group.v1_directory(controller))
    {
        if !made.contains(&directory) {
            make(&directory)?;
            made.push(directory);
        }
    }
    if let Some(directory) = group.unified_directory() {
        make(&directory)?;
    }
    write_limits(group, limits, true)
}

pub(super) fn apply(group: &Cgroup, limits: &Limits) -> Result<(), CgroupError> {
    write_limits(group, limits, false)
}

/// Makes a directory that nothing is in; an empty one of that name is replaced, since it may have limits.
pub(super) fn make(directory: &Path) -> Result<(), CgroupError> {
    let failed = |source| CgroupError::Create {
        path: directory.into(),
        source,
    };
    match fs::create_dir(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(directory).map_err(failed)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if files::tree(directory)
                .iter()
                .any(|beneath| occupied(beneath))
            {
                return Err(CgroupError::Busy(directory.into()));
            }
            for beneath in files::tree(directory).iter().rev() {
                fs::remove_dir(beneath).or_else(|error| {
                    if files::gone(&error) {
                        Ok(())
                    } else {
                        Err(failed(error))
                    }
                })?;
            }
            fs::create_dir(directory).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn occupied(directory: &Path) -> bool {
    read_pids(directory, "cgroup.procs").is_ok_and(|pids| !pids.is_empty())
}

/// `fresh`: nothing runs in it, and it has the values it was made with.
fn write_limits(group: &Cgroup, limits: &Limits, fresh: bool) -> Result<(), CgroupError> {
    if let Some(name) = limits.unified.keys().next() {
        return Err(CgroupError::NoFile {
            what: "a file of cgroup version 2",
            file: PathBuf::from(name),
        });
    }
    if limits.memory != Memory::default() {
        memory(&need(group, Controller::Memory, "memory")?, &limits.memory)?;
    }
    if limits.cpu.wants_time() {
        cpu(
            &need(group, Controller::Cpu, "processor time")?,
            &limits.cpu,
        )?;
    }
    if limits.cpu.wants_cpuset() {
        cpuset(group, &limits.cpu)?;
    }
    if let Some(pids) = limits.pids {
        let value = if pids > 0 {
            pids.to_string()
        } else {
            "max".to_owned()
        };
        write(
            &need(group, Controller::Pids, "the number of processes")?,
            "pids.max",
            &value,
        )?;
    }
    if limits.block_io != BlockIo::default() {
        block_io(
            &need(group, Controller::Blkio, "block I/O")?,
            &limits.block_io,
        )?;
    }
    for (size, bytes) in &limits.huge_pages {
        let directory = joined(group, Controller::Hugetlb, "huge pages")?;
        write_limit(
            &directory,
            &format!("hugetlb.{size}.limit_in_bytes"),
            &bytes.to_string(),
            "huge pages",
        )?;
    }
    if !limits.devices.is_empty() {
        device_rules(
            &need(group, Controller::Devices, "devices")?,
            &limits.devices,
            fresh,
        )?;
    }
    Ok(())
}

fn need(
    group: &Cgroup,
    controller: Controller,
    what: &'static str,
) -> Result<PathBuf, CgroupError> {
    group
        .v1_directory(controller)
        .ok_or(CgroupError::NoController { what, controller })
}

/// The directory of a controller that is used only where a limit asks; what runs in the cgroup already is moved in.
fn joined(
    group: &Cgroup,
    controller: Controller,
    what: &'static str,
) -> Result<PathBuf, CgroupError> {
    let directory = need(group, controller, what)?;
    if directory.is_dir() {
        return Ok(directory);
    }
    if controller == Controller::Cpuset {
        inherit_cpuset(group)?;
    } else {
        make(&directory)?;
    }
    // A process made meanwhile by one that was not moved yet is found in the next round.
    for _ in 0..5 {
        let inside = read_pids(&directory, "cgroup.procs")?;
        let outside: Vec<i32> = group
            .pids()?
            .into_iter()
            .filter(|pid| !inside.contains(pid))
            .collect();
        if outside.is_empty() {
            break;
        }
        for pid in outside {
            move_in(&directory, pid)?;
        }
    }
    Ok(directory)
}

pub(super) fn move_in(directory: &Path, pid: i32) -> Result<(), CgroupError> {
    match write(directory, "cgroup.procs", &pid.to_string()) {
        // It ended meanwhile.
        Err(CgroupError::Write { source, .. }) if source.raw_os_error() == Some(libc::ESRCH) => {
            Ok(())
        }
        other => other,
    }
}

/// A cpuset that nobody filled in cannot be entered, so each level takes its parent's lists first.
fn inherit_cpuset(group: &Cgroup) -> Result<(), CgroupError> {
    let Some(base) = group.hierarchy.base(Controller::Cpuset) else {
        return Ok(());
    };
    let mut parent = base.to_owned();
    for level in group.path.levels() {
        let directory = base.join(level);
        match fs::create_dir(&directory) {
            Err(source) if source.kind() != ErrorKind::AlreadyExists => {
                return Err(CgroupError::Create {
                    path: directory,
                    source,
                });
            }
            Ok(()) | Err(_) => (),
        }
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if files::read(&directory, file)?.trim().is_empty() {
                write(&directory, file, files::read(&parent, file)?.trim())?;
            }
        }
        parent = directory;
    }
    Ok(())
}

fn cpuset(group: &Cgroup, limits: &Cpu) -> Result<(), CgroupError> {
    let directory = joined(group, Controller::Cpuset, "processors and memory nodes")?;
    for (file, list) in [("cpuset.cpus", &limits.cpus), ("cpuset.mems", &limits.mems)] {
        if let Some(list) = list.as_deref().filter(|list| !list.is_empty()) {
            write(&directory, file, list)?;
        }
    }
    Ok(())
}

fn memory(directory: &Path, limits: &Memory) -> Result<(), CgroupError> {
    memory_and_swap(directory, limits)?;
    if let Some(bytes) = limits.reservation {
        write(directory, "memory.soft_limit_in_bytes", &bytes.to_string())?;
    }
    if let Some(bytes) = limits.kernel_tcp {
        write_limit(
            directory,
            "memory.kmem.tcp.limit_in_bytes",
            &bytes.to_string(),
            "TCP memory",
        )?;
    }
    if let Some(swappiness) = limits.swappiness {
        write_limit(
            directory,
            "memory.swappiness",
            &swappiness.to_string(),
            "memory swappiness",
        )?;
    }
    if let Some(disable) = limits.disable_oom_killer {
        write_limit(
            directory,
            "memory.oom_control",
            if disable { "1" } else { "0" },
            "disabling the OOM killer",
        )?;
    }
    Ok(())
}

/// The kernel wants memory ≤ memory and swap at every moment, so the one that grows out of the other's way goes first.
fn memory_and_swap(directory: &Path, limits: &Memory) -> Result<(), CgroupError> {
    const BOTH: &str = "memory.memsw.limit_in_bytes";
    let limit = limits.limit.filter(|&limit| limit != 0);
    let mut swap = limits.swap.filter(|&swap| swap != 0);
    if limit == Some(-1) && swap.is_none() && directory.join(BOTH).exists() {
        swap = Some(-1);
    }
    let write_swap = |swap: i64| write_limit(directory, BOTH, &swap.to_string(), "swap");
    match (limit, swap) {
        (None, None) => Ok(()),
        (Some(limit), None) => write_memory(directory, limit),
        (None, Some(swap)) => write_swap(swap),
        (Some(limit), Some(swap)) => {
            let now = read_number(directory, BOTH);
            let grows = swap < 0 || now.is_some_and(|now| now < swap as u64);
            if grows {
                write_swap(swap)?;
                write_memory(directory, limit)
            } else {
                write_memory(directory, limit)?;
                write_swap(swap)
            }
        }
    }
}

fn write_memory(directory: &Path, limit: i64) -> Result<(), CgroupError> {
    let written = write(directory, "memory.limit_in_bytes", &limit.to_string());
    match written {
        Err(CgroupError::Write { source, .. }) if source.kind() == ErrorKind::ResourceBusy => {
            let usage = read_number(directory, "memory.usage_in_bytes").unwrap_or_default();
            Err(CgroupError::MemoryInUse { limit, usage })
        }
        other => other,
    }
}

/// Quota and period have to fit each other and the parent's at every moment: if one order is refused, the other is tried.
fn cpu(directory: &Path, limits: &Cpu) -> Result<(), CgroupError> {
    if let Some(shares) = limits.shares.filter(|&shares| shares != 0) {
        write(directory, "cpu.shares", &shares.to_string())?;
    }
    let period = || match limits.period.filter(|&period| period != 0) {
        Some(period) => write_limit(
            directory,
            "cpu.cfs_period_us",
            &period.to_string(),
            "the CPU period",
        ),
        None => Ok(()),
    };
    let quota = || match limits.quota.filter(|&quota| quota != 0) {
        Some(quota) => write_limit(
            directory,
            "cpu.cfs_quota_us",
            &quota.max(-1).to_string(),
            "the CPU quota",
        ),
        None => Ok(()),
    };
    if period().is_ok() {
        quota()?;
    } else {
        quota()?;
        period()?;
    }
    let rest = [
        (
            "cpu.cfs_burst_us",
            limits.burst.map(|burst| burst.to_string()),
            "CPU burst",
        ),
        (
            "cpu.rt_period_us",
            limits.realtime_period.map(|period| period.to_string()),
            "the real-time period",
        ),
        (
            "cpu.rt_runtime_us",
            limits.realtime_runtime.map(|runtime| runtime.to_string()),
            "real-time runtime",
        ),
        (
            "cpu.idle",
            limits.idle.map(|idle| idle.to_string()),
            "idle scheduling",
        ),
    ];
    for (file, value, what) in rest {
        if let Some(value) = value {
            write_limit(directory, file, &value, what)?;
        }
    }
    Ok(())
}

fn block_io(directory: &Path, limits: &BlockIo) -> Result<(), CgroupError> {
    let first_there =
        |files: [&'static str; 2]| files.into_iter().find(|file| directory.join(file).exists());
    if let Some(weight) = limits.weight.filter(|&weight| weight != 0) {
        let file = first_there(["blkio.weight", "blkio.bfq.weight"]).unwrap_or("blkio.weight");
        write_limit(directory, file, &weight.to_string(), "block I/O weight")?;
    }
    let weights = first_there(["blkio.weight_device", "blkio.bfq.weight_device"])
        .unwrap_or("blkio.weight_device");
    let lists: [(&str, &[DeviceAmount], &'static str); 5] = [
        (
            weights,
            &limits.device_weights,
            "block I/O weight by device",
        ),
        (
            "blkio.throttle.read_bps_device",
            &limits.read_bps,
            "bytes read per second",
        ),
        (
            "blkio.throttle.write_bps_device",
            &limits.write_bps,
            "bytes written per second",
        ),
        (
            "blkio.throttle.read_iops_device",
            &limits.read_iops,
            "reads per second",
        ),
        (
            "blkio.throttle.write_iops_device",
            &limits.write_iops,
            "writes per second",
        ),
    ];
    for (file, list, what) in lists {
        for DeviceAmount {
            major,
            minor,
            amount,
        } in list
        {
            write_limit(directory, file, &format!("{major}:{minor} {amount}"), what)?;
        }
    }
    Ok(())
}

/// A new cgroup may do what its parent may, so granting everything needs no write (and would be refused inside a
/// container that may not do everything itself).
fn device_rules(directory: &Path, rules: &[DeviceRule], fresh: bool) -> Result<(), CgroupError> {
    let rules = devices::effective(rules);
    let rules = match rules {
        [first, rest @ ..] if fresh && first.allow && first.is_total() => rest,
        _ => rules,
    };
    let open = |name: &str| {
        fs::OpenOptions::new()
            .write(true)
            .open(directory.join(name))
    };
    let (allow, deny) = (open("devices.allow"), open("devices.deny"));
    for rule in rules {
        let (opened, name) = if rule.allow {
            (&allow, "devices.allow")
        } else {
            (&deny, "devices.deny")
        };
        for line in devices::lines(rule) {
            let wrote = match opened {
                Ok(file) => io::Write::write_all(&mut &*file, line.as_bytes()),
                Err(error) => Err(io::Error::from(error.kind())),
            };
            wrote.map_err(|source| CgroupError::write(&directory.join(name), &line, source))?;
        }
    }
    Ok(())
}

pub(super) fn stats(group: &Cgroup) -> Result<Stats, CgroupError> {
    let directory = |controller| {
        group
            .v1_directory(controller)
            .filter(|directory| directory.is_dir())
    };
    let mut all = Stats::default();
    if let Some(cpuacct) = directory(Controller::Cpuacct) {
        all.cpu = cpu_stats(&cpuacct)?;
    }
    if let Some(cpu) = directory(Controller::Cpu) {
        all.cpu.throttling = stats::throttling(&files::read(&cpu, "cpu.stat")?);
    }
    if let Some(memory) = directory(Controller::Memory) {
        all.memory = memory_stats(&memory)?;
    }
    if let Some(blkio) = directory(Controller::Blkio) {
        all.block_io = block_io_stats(&blkio);
    }
    if let Some(pids) = directory(Controller::Pids) {
        let limit = read_if_there(&pids, "pids.max").and_then(|text| stats::limit(&text));
        all.pids = PidsStats {
            current: read_number(&pids, "pids.current").unwrap_or_default(),
            limit,
        };
    }
    if let Some(unified) = group.unified_directory() {
        all.pressure = v2::pressures(&unified);
    }
    Ok(all)
}

fn cpu_stats(directory: &Path) -> Result<CpuStats, CgroupError> {
    let ticks = files::read(directory, "cpuacct.stat")?;
    let nanoseconds = |name| stats::field(&ticks, name).unwrap_or_default() * NANOSECONDS_PER_TICK;
    let per_cpu = files::read(directory, "cpuacct.usage_percpu")?;
    Ok(CpuStats {
        total: read_number(directory, "cpuacct.usage").unwrap_or_default(),
        per_cpu: per_cpu
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect(),
        kernel: nanoseconds("system"),
        user: nanoseconds("user"),
        ..CpuStats::default()
    })
}

fn memory_stats(directory: &Path) -> Result<MemoryStats, CgroupError> {
    let number = |name| read_number(directory, name);
    let oom = read_if_there(directory, "memory.oom_control").unwrap_or_default();
    Ok(MemoryStats {
        usage: number("memory.usage_in_bytes").unwrap_or_default(),
        max_usage: number("memory.max_usage_in_bytes"),
        fail_count: number("memory.failcnt").unwrap_or_default(),
        limit: stats::limit(&files::read(directory, "memory.limit_in_bytes")?),
        stat: stats::flat(&files::read(directory, "memory.stat")?),
        oom_kills: stats::field(&oom, "oom_kill").unwrap_or_default(),
    })
}

/// The throttle counters count every device; those of a scheduler only what that scheduler drives.
fn block_io_stats(directory: &Path) -> BlockIoStats {
    let list = |names: &[&str]| {
        let texts = names
            .iter()
            .filter_map(|name| read_if_there(directory, name));
        texts
            .map(|text| stats::blkio(&text))
            .find(|entries| !entries.is_empty())
            .unwrap_or_default()
    };
    BlockIoStats {
        service_bytes: list(&[
            "blkio.throttle.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes",
        ]),
        serviced: list(&[
            "blkio.throttle.io_serviced_recursive",
            "blkio.throttle.io_serviced",
        ]),
        queued: list(&["blkio.io_queued_recursive", "blkio.bfq.io_queued_recursive"]),
        service_time: list(&[
            "blkio.io_service_time_recursive",
            "blkio.bfq.io_service_time_recursive",
        ]),
        wait_time: list(&[
            "blkio.io_wait_time_recursive",
            "blkio.bfq.io_wait_time_recursive",
        ]),
        merged: list(&["blkio.io_merged_recursive", "blkio.bfq.io_merged_recursive"]),
        time: list(&["blkio.time_recursive", "blkio.bfq.time_recursive"]),
        sectors: list(&["blkio.sectors_recursive", "blkio.bfq.sectors_recursive"]),
    }
}
