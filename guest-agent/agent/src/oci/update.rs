//! `update`.

use std::io::Read as _;
use std::path::Path;

use oci_spec::runtime::LinuxResources;
use proa_kernel::cgroup::Limits;
use proa_runtime::resources;

use super::arguments::{Globals, UpdateArguments};
use super::error::OciError;
use super::group;
use super::state::{self, STOPPED};
use super::store::Folder;

/// Changes limits of a running container; what is not named stays.
pub(super) fn update(globals: &Globals, arguments: &UpdateArguments) -> Result<(), OciError> {
    let record = Folder::open(globals, &arguments.id)?.record(&arguments.id)?;
    if state::status(&record) == STOPPED {
        return Err(OciError::Status {
            verb: "update",
            status: STOPPED,
        });
    }
    let mut limits = match &arguments.resources {
        Some(path) => resources::limits(&read(path)?)?,
        None => Limits::default(),
    };
    // Callers that send the whole section again do not mean the devices.
    limits.devices.clear();
    overlay(&mut limits, arguments);
    Ok(group::open(&record)?.apply(&limits)?)
}

fn read(path: &Path) -> Result<LinuxResources, OciError> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|content| bytes = content)
    };
    read.map_err(OciError::file("read", path))?;
    serde_json::from_slice(&bytes).map_err(|source| OciError::Json {
        path: path.to_owned(),
        source,
    })
}

/// Flags win over the file.
fn overlay(limits: &mut Limits, flags: &UpdateArguments) {
    fn set<T: Clone>(limit: &mut Option<T>, flag: Option<&T>) {
        if let Some(value) = flag {
            *limit = Some(value.clone());
        }
    }
    set(&mut limits.block_io.weight, flags.blkio_weight.as_ref());
    set(&mut limits.cpu.period, flags.cpu_period.as_ref());
    set(&mut limits.cpu.quota, flags.cpu_quota.as_ref());
    set(&mut limits.cpu.burst, flags.cpu_burst.as_ref());
    set(&mut limits.cpu.shares, flags.cpu_share.as_ref());
    set(
        &mut limits.cpu.realtime_period,
        flags.cpu_rt_period.as_ref(),
    );
    set(
        &mut limits.cpu.realtime_runtime,
        flags.cpu_rt_runtime.as_ref(),
    );
    set(&mut limits.cpu.idle, flags.cpu_idle.as_ref());
    set(&mut limits.cpu.cpus, flags.cpuset_cpus.as_ref());
    set(&mut limits.cpu.mems, flags.cpuset_mems.as_ref());
    set(&mut limits.memory.limit, flags.memory.as_ref());
    set(
        &mut limits.memory.reservation,
        flags.memory_reservation.as_ref(),
    );
    set(&mut limits.memory.swap, flags.memory_swap.as_ref());
    set(&mut limits.pids, flags.pids_limit.as_ref());
}
