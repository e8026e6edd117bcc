//! Version 2: one directory; controllers are switched on from the base down.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::files::{read_if_there, read_number, read_pids, write, write_limit};
use super::limits::{BlockIo, Cpu, Limits, Memory, io_weight, swap_alone, weight_of_shares};
use super::stats::{MemoryStats, PidsStats, Pressures, Stats};
use super::{
    Cgroup, CgroupError, Controller, DeviceAmount, Hierarchy, device_program, files, stats, v1,
};

/// Controllers that every cgroup uses.
const ALWAYS: [&str; 4] = ["cpu", "io", "memory", "pids"];
/// Where processes go that stand in the way of switching controllers on: "no internal processes".
const LEAF: &str = "proa-agent";

pub(super) fn create(group: &Cgroup, limits: &Limits) -> Result<(), CgroupError> {
    let Some(directory) = group.unified_directory() else {
        return Err(CgroupError::NotMounted);
    };
    let parents = parents(group)?;
    prepare(&group.hierarchy, &parents)?;
    match v1::make(&directory) {
        // Somebody removed a parent that was prepared earlier.
        Err(CgroupError::Create { source, .. }) if source.kind() == ErrorKind::NotFound => {
            forget(&group.hierarchy, &parents);
            prepare(&group.hierarchy, &parents)?;
            v1::make(&directory)?;
        }
        other => other?,
    }
    apply(group, limits)
}

/// The directories above a cgroup, from the base down.
fn parents(group: &Cgroup) -> Result<Vec<PathBuf>, CgroupError> {
    let base = group.hierarchy.unified().ok_or(CgroupError::NotMounted)?;
    let levels: Vec<PathBuf> = group.path.levels().map(|level| base.join(level)).collect();
    let above = &levels[..levels.len().saturating_sub(1)];
    Ok(std::iter::once(base.to_owned())
        .chain(above.iter().cloned())
        .collect())
}

fn forget(hierarchy: &Hierarchy, parents: &[PathBuf]) {
    if let Some(base) = parents.first() {
        hierarchy.forget_prepared(base);
    }
}

/// Makes the parents and switches the usual controllers on for their children.
fn prepare(hierarchy: &Hierarchy, parents: &[PathBuf]) -> Result<(), CgroupError> {
    for directory in parents {
        if hierarchy.is_prepared(directory) && directory.is_dir() {
            continue;
        }
        match fs::create_dir(directory) {
            Err(source) if source.kind() != ErrorKind::AlreadyExists => {
                return Err(CgroupError::Create {
                    path: directory.clone(),
                    source,
                });
            }
            Ok(()) | Err(_) => (),
        }
        enable(directory, &ALWAYS)?;
        hierarchy.note_prepared(directory.clone());
    }
    Ok(())
}

/// Switches those of `names` on that `directory` has and that are not on yet.
fn enable(directory: &Path, names: &[&str]) -> Result<(), CgroupError> {
    let words = |file| read_if_there(directory, file).unwrap_or_default();
    let (there, on) = (words("cgroup.controllers"), words("cgroup.subtree_control"));
    let has = |text: &str, name: &&&str| text.split_whitespace().any(|word| word == **name);
    let missing: Vec<String> = names
        .iter()
        .filter(|name| has(&there, name) && !has(&on, name))
        .map(|name| format!("+{name}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let wanted = missing.join(" ");
    match write(directory, "cgroup.subtree_control", &wanted) {
        Err(CgroupError::Write { source, .. }) if source.kind() == ErrorKind::ResourceBusy => {
            evacuate(directory)?;
            write(directory, "cgroup.subtree_control", &wanted)
        }
        other => other,
    }
}

/// Moves every process of `directory` (this one among them) to a leaf beneath it, as a cgroup with processes of its own
/// cannot hand out controllers. Only the root of the whole tree can.
fn evacuate(directory: &Path) -> Result<(), CgroupError> {
    let leaf = directory.join(LEAF);
    match fs::create_dir(&leaf) {
        Err(source) if source.kind() != ErrorKind::AlreadyExists => {
            return Err(CgroupError::Create { path: leaf, source });
        }
        Ok(()) | Err(_) => (),
    }
    for _ in 0..100 {
        let pids = read_pids(directory, "cgroup.procs")?;
        if pids.is_empty() {
            break;
        }
        for pid in pids {
            v1::move_in(&leaf, pid)?;
        }
    }
    Ok(())
}

/// Controllers that are not always on are switched on for this cgroup's parents when a limit asks.
fn enable_above(
    group: &Cgroup,
    controller: Controller,
    what: &'static str,
) -> Result<(), CgroupError> {
    if !group.hierarchy.has(controller) {
        return Err(CgroupError::NoController { what, controller });
    }
    let name = controller.unified_name().unwrap_or_default();
    parents(group)?
        .iter()
        .try_for_each(|directory| enable(directory, &[name]))
}

fn need(group: &Cgroup, controller: Controller, what: &'static str) -> Result<(), CgroupError> {
    if group.hierarchy.has(controller) {
        Ok(())
    } else {
        Err(CgroupError::NoController { what, controller })
    }
}

pub(super) fn apply(group: &Cgroup, limits: &Limits) -> Result<(), CgroupError> {
    let directory = &group.unified_directory().ok_or(CgroupError::NotMounted)?;
    if limits.memory != Memory::default() {
        need(group, Controller::Memory, "memory")?;
        memory(directory, &limits.memory)?;
    }
    if limits.cpu.wants_time() {
        need(group, Controller::Cpu, "processor time")?;
        cpu(directory, &limits.cpu)?;
    }
    if limits.cpu.wants_cpuset() {
        enable_above(group, Controller::Cpuset, "processors and memory nodes")?;
        cpuset(directory, &limits.cpu)?;
    }
    if let Some(pids) = limits.pids {
        need(group, Controller::Pids, "the number of processes")?;
        write(
            directory,
            "pids.max",
            &number(if pids > 0 { pids } else { -1 }),
        )?;
    }
    if limits.block_io != BlockIo::default() {
        need(group, Controller::Blkio, "block I/O")?;
        block_io(directory, &limits.block_io)?;
    }
    for (size, bytes) in &limits.huge_pages {
        enable_above(group, Controller::Hugetlb, "huge pages")?;
        write_limit(
            directory,
            &format!("hugetlb.{size}.max"),
            &bytes.to_string(),
            "huge pages",
        )?;
    }
    if !limits.devices.is_empty() {
        device_program::replace(directory, &limits.devices).map_err(|source| {
            CgroupError::DeviceProgram {
                path: directory.clone(),
                source,
            }
        })?;
    }
    unified(group, directory, limits)
}

fn unified(group: &Cgroup, directory: &Path, limits: &Limits) -> Result<(), CgroupError> {
    for (name, value) in &limits.unified {
        if let Some(controller) = [Controller::Cpuset, Controller::Hugetlb]
            .into_iter()
            .find(|controller| name.split('.').next() == controller.unified_name())
        {
            enable_above(group, controller, "a file of cgroup version 2")?;
        }
        write_limit(directory, name, value, "a file of cgroup version 2")?;
    }
    Ok(())
}

fn number(value: i64) -> String {
    if value < 0 {
        "max".to_owned()
    } else {
        value.to_string()
    }
}

fn memory(directory: &Path, limits: &Memory) -> Result<(), CgroupError> {
    let limit = limits.limit.filter(|&limit| limit != 0);
    let swap = match (limit, limits.swap) {
        (Some(-1), None | Some(0)) => Some(-1),
        _ => swap_alone(limits.swap, limit)?,
    };
    // Without swap accounting there is nothing to limit, and no swap is what the kernel gives then.
    if let Some(swap) = swap.filter(|&swap| swap > 0 || directory.join("memory.swap.max").exists())
    {
        write_limit(directory, "memory.swap.max", &number(swap), "swap")?;
    }
    if let Some(limit) = limit {
        write(directory, "memory.max", &number(limit))?;
    }
    match limits.reservation {
        Some(bytes) => write(directory, "memory.low", &number(bytes)),
        None => Ok(()),
    }
}

fn cpu(directory: &Path, limits: &Cpu) -> Result<(), CgroupError> {
    if let Some(idle) = limits.idle {
        write_limit(directory, "cpu.idle", &idle.to_string(), "idle scheduling")?;
    }
    if let Some(shares) = limits.shares.filter(|&shares| shares != 0) {
        write(
            directory,
            "cpu.weight",
            &weight_of_shares(shares).to_string(),
        )?;
    }
    let quota = limits.quota.filter(|&quota| quota != 0);
    let period = limits.period.filter(|&period| period != 0);
    if quota.is_some() || period.is_some() {
        let now = read_if_there(directory, "cpu.max").unwrap_or_default();
        write_limit(
            directory,
            "cpu.max",
            &cpu_max(quota, period, &now),
            "the CPU quota",
        )?;
    }
    match limits.burst {
        Some(burst) => write_limit(directory, "cpu.max.burst", &burst.to_string(), "CPU burst"),
        None => Ok(()),
    }
}

/// What to write to `cpu.max`: what is not given stays as it is.
fn cpu_max(quota: Option<i64>, period: Option<u64>, now: &str) -> String {
    let mut words = now.split_whitespace();
    let (old_quota, old_period) = (
        words.next().unwrap_or("max"),
        words.next().unwrap_or("100000"),
    );
    let quota = quota.map_or_else(|| old_quota.to_owned(), number);
    let period = period.map_or_else(|| old_period.to_owned(), |period| period.to_string());
    format!("{quota} {period}")
}

fn cpuset(directory: &Path, limits: &Cpu) -> Result<(), CgroupError> {
    for (file, list) in [("cpuset.cpus", &limits.cpus), ("cpuset.mems", &limits.mems)] {
        if let Some(list) = list.as_deref().filter(|list| !list.is_empty()) {
            write(directory, file, list)?;
        }
    }
    Ok(())
}

fn block_io(directory: &Path, limits: &BlockIo) -> Result<(), CgroupError> {
    let bfq = directory.join("io.bfq.weight").exists();
    let file = if bfq { "io.bfq.weight" } else { "io.weight" };
    let weight = |amount: u64| if bfq { amount } else { io_weight(amount) };
    if let Some(amount) = limits.weight.filter(|&amount| amount != 0) {
        write_limit(
            directory,
            file,
            &format!("default {}", weight(amount.into())),
            "block I/O weight",
        )?;
    }
    for DeviceAmount {
        major,
        minor,
        amount,
    } in &limits.device_weights
    {
        let value = format!("{major}:{minor} {}", weight(*amount));
        write_limit(directory, file, &value, "block I/O weight by device")?;
    }
    for line in io_max(limits) {
        write_limit(directory, "io.max", &line, "block I/O")?;
    }
    Ok(())
}

/// The lines for `io.max`.
fn io_max(limits: &BlockIo) -> Vec<String> {
    let lists = [
        ("rbps", &limits.read_bps),
        ("wbps", &limits.write_bps),
        ("riops", &limits.read_iops),
        ("wiops", &limits.write_iops),
    ];
    let mut lines = Vec::new();
    for (name, list) in lists {
        for DeviceAmount {
            major,
            minor,
            amount,
        } in list
        {
            let amount = if *amount == 0 {
                "max".to_owned()
            } else {
                amount.to_string()
            };
            lines.push(format!("{major}:{minor} {name}={amount}"));
        }
    }
    lines
}

pub(super) fn stats(group: &Cgroup) -> Result<Stats, CgroupError> {
    let directory = &group.unified_directory().ok_or(CgroupError::NotMounted)?;
    let limit = read_if_there(directory, "pids.max").and_then(|text| stats::limit(&text));
    Ok(Stats {
        cpu: stats::cpu_stat(&files::read(directory, "cpu.stat")?),
        memory: memory_stats(directory),
        block_io: stats::io_stat(&read_if_there(directory, "io.stat").unwrap_or_default()),
        pids: PidsStats {
            current: read_number(directory, "pids.current").unwrap_or_default(),
            limit,
        },
        pressure: pressures(directory),
    })
}

/// All zero where the memory controller is missing.
fn memory_stats(directory: &Path) -> MemoryStats {
    let text = |name| read_if_there(directory, name).unwrap_or_default();
    let events = text("memory.events");
    MemoryStats {
        usage: read_number(directory, "memory.current").unwrap_or_default(),
        max_usage: read_number(directory, "memory.peak"),
        fail_count: stats::field(&events, "oom").unwrap_or_default(),
        limit: stats::limit(&text("memory.max")),
        stat: stats::flat(&text("memory.stat")),
        oom_kills: stats::field(&events, "oom_kill").unwrap_or_default(),
    }
}

/// Pressure of a version 2 directory; hybrid hosts have it too.
pub(super) fn pressures(directory: &Path) -> Pressures {
    let pressure = |name| read_if_there(directory, name).and_then(|text| stats::pressure(&text));
    Pressures {
        cpu: pressure("cpu.pressure"),
        memory: pressure("memory.pressure"),
        io: pressure("io.pressure"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_and_period_keep_what_is_not_given() {
        assert_eq!(cpu_max(Some(50_000), None, "max 100000\n"), "50000 100000");
        assert_eq!(cpu_max(None, Some(20_000), "50000 100000\n"), "50000 20000");
        assert_eq!(cpu_max(Some(-1), None, "50000 20000"), "max 20000");
    }

    #[test]
    fn a_throttle_of_zero_is_taken_away() {
        let device = |amount| DeviceAmount {
            major: 8,
            minor: 0,
            amount,
        };
        let limits = BlockIo {
            read_bps: vec![device(1024)],
            write_iops: vec![device(0)],
            ..BlockIo::default()
        };
        assert_eq!(io_max(&limits), ["8:0 rbps=1024", "8:0 wiops=max"]);
    }
}
