//! `--memory`, `--cpus` and their like as the spec's resources.

use std::path::Path;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxBlockIoBuilder, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources,
    LinuxResourcesBuilder, LinuxThrottleDevice, LinuxThrottleDeviceBuilder, LinuxWeightDevice,
    LinuxWeightDeviceBuilder,
};
use proa_protocol::models::{HostConfig, ResourcesBlkioWeightDevice, ThrottleDevice};

use super::{SpecError, devices};

/// The period `--cpus` is counted in, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// The limits of a configuration, without the device list: what `update` changes too.
pub fn resources(host: &HostConfig) -> Result<LinuxResources, SpecError> {
    let mut resources = LinuxResourcesBuilder::default()
        .memory(memory(host))
        .cpu(cpu(host))
        .block_io(block(host)?)
        .build()?;
    if let Some(limit) = host.pids_limit.filter(|limit| *limit != 0) {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit.max(-1));
        resources.set_pids(Some(pids));
    }
    Ok(resources)
}

pub(super) fn with_devices(
    host: &HostConfig,
    granted: &[devices::Granted],
    privileged: bool,
) -> Result<LinuxResources, SpecError> {
    let mut resources = resources(host)?;
    resources.set_devices(Some(devices::rules(host, granted, privileged)?));
    Ok(resources)
}

fn positive(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value > 0)
}

fn memory(host: &HostConfig) -> LinuxMemory {
    let mut memory = LinuxMemory::default();
    memory.set_limit(positive(host.memory));
    memory.set_reservation(positive(host.memory_reservation));
    // Memory alone means as much swap again; −1 means any amount.
    let swap = match (host.memory_swap.unwrap_or(0), positive(host.memory)) {
        (0, Some(limit)) => Some(limit.saturating_mul(2)),
        (0, None) => None,
        (given, _) => Some(given),
    };
    memory.set_swap(swap);
    memory.set_swappiness(
        host.memory_swappiness
            .filter(|value| *value >= 0)
            .map(|value| value as u64),
    );
    memory.set_disable_oom_killer(host.oom_kill_disable);
    memory
}

fn cpu(host: &HostConfig) -> LinuxCpu {
    let mut cpu = LinuxCpu::default();
    let unsigned = |value| positive(value).map(|value| value as u64);
    cpu.set_shares(unsigned(host.cpu_shares));
    if let Some(nano) = positive(host.nano_cpus) {
        cpu.set_period(Some(CPU_PERIOD));
        cpu.set_quota(Some(
            (i128::from(nano) * i128::from(CPU_PERIOD) / 1_000_000_000) as i64,
        ));
    } else {
        cpu.set_period(unsigned(host.cpu_period));
        cpu.set_quota(host.cpu_quota.filter(|quota| *quota != 0));
    }
    cpu.set_realtime_period(unsigned(host.cpu_realtime_period));
    cpu.set_realtime_runtime(positive(host.cpu_realtime_runtime));
    let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    cpu.set_cpus(text(&host.cpuset_cpus));
    cpu.set_mems(text(&host.cpuset_mems));
    cpu
}

fn block(host: &HostConfig) -> Result<LinuxBlockIo, SpecError> {
    let mut block = LinuxBlockIoBuilder::default().build()?;
    block.set_weight(host.blkio_weight.filter(|weight| *weight != 0));
    block.set_weight_device(some(weights(
        host.blkio_weight_device.as_deref().unwrap_or_default(),
    )?));
    let throttle = |list: &Option<Vec<ThrottleDevice>>| {
        throttles(list.as_deref().unwrap_or_default()).map(some)
    };
    block.set_throttle_read_bps_device(throttle(&host.blkio_device_read_bps)?);
    block.set_throttle_write_bps_device(throttle(&host.blkio_device_write_bps)?);
    block.set_throttle_read_iops_device(throttle(&host.blkio_device_read_iops)?);
    block.set_throttle_write_iops_device(throttle(&host.blkio_device_write_iops)?);
    Ok(block)
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn weights(list: &[ResourcesBlkioWeightDevice]) -> Result<Vec<LinuxWeightDevice>, SpecError> {
    list.iter()
        .map(|device| {
            let (major, minor) = numbers(device.path.as_deref().unwrap_or_default())?;
            Ok(LinuxWeightDeviceBuilder::default()
                .major(major)
                .minor(minor)
                .weight(device.weight.unwrap_or(0) as u16)
                .build()?)
        })
        .collect()
}

fn throttles(list: &[ThrottleDevice]) -> Result<Vec<LinuxThrottleDevice>, SpecError> {
    list.iter()
        .map(|device| {
            let (major, minor) = numbers(device.path.as_deref().unwrap_or_default())?;
            Ok(LinuxThrottleDeviceBuilder::default()
                .major(major)
                .minor(minor)
                .rate(device.rate.unwrap_or(0) as u64)
                .build()?)
        })
        .collect()
}

/// A block device's numbers: the one look at the host in this crate's pure part, because the spec wants numbers where
/// users give paths.
fn numbers(path: &str) -> Result<(i64, i64), SpecError> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let fail = |reason: String| SpecError::Device {
        path: path.to_owned(),
        reason,
    };
    let meta = std::fs::metadata(Path::new(path)).map_err(|error| fail(error.to_string()))?;
    if !meta.file_type().is_block_device() {
        return Err(fail("not a block device".to_owned()));
    }
    Ok((
        i64::from(rustix::fs::major(meta.rdev())),
        i64::from(rustix::fs::minor(meta.rdev())),
    ))
}
