//! Mounts and devices.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Surroundings;
use crate::container::flags::FileFlags;
use crate::failure::Failure;
use crate::flags::document::Document;
use crate::flags::mount::{self, Volume};
use crate::flags::{device, pairs};

/// Paths that get a volume of their own, as Docker's map with empty values.
pub(super) fn anonymous(
    files: &FileFlags,
    around: &Surroundings<'_>,
) -> Result<BTreeMap<String, Value>, Failure> {
    let mut paths = BTreeMap::new();
    for text in &files.volume {
        if let Volume::Anonymous(path) = mount::volume(text, &around.folder)? {
            paths.insert(path, mount::empty());
        }
    }
    Ok(paths)
}

/// Fills in the host's side of mounts and devices.
pub(super) fn fill(
    host: &mut Document,
    files: &FileFlags,
    around: &Surroundings<'_>,
) -> Result<(), Failure> {
    let mut binds = Vec::new();
    for text in &files.volume {
        if let Volume::Bind(bind) = mount::volume(text, &around.folder)? {
            binds.push(bind);
        }
    }
    let mounts = files
        .mount
        .iter()
        .map(|text| mount::parse(text, &around.folder))
        .collect::<Result<Vec<_>, _>>()?;
    let tmpfs: BTreeMap<_, _> = files.tmpfs.iter().map(|text| mount::tmpfs(text)).collect();
    host.put("Binds", binds)
        .put("Mounts", mounts)
        .put("Tmpfs", tmpfs)
        .put("VolumesFrom", &files.volumes_from)
        .put("VolumeDriver", &files.volume_driver)
        .put("ReadonlyRootfs", files.read_only)
        .put(
            "StorageOpt",
            pairs::strict("storage-opt", &files.storage_opt)?,
        );
    devices(host, files)
}

fn devices(host: &mut Document, files: &FileFlags) -> Result<(), Failure> {
    let (named, paths): (Vec<&String>, Vec<&String>) = files
        .device
        .iter()
        .partition(|text| device::is_interface_name(text));
    let mappings = paths
        .into_iter()
        .map(|text| device::mapping(text))
        .collect::<Result<Vec<_>, _>>()?;
    let mut requests = Vec::new();
    if !named.is_empty() {
        requests.push(serde_json::json!({"Driver": "cdi", "DeviceIDs": named}));
    }
    if let Some(gpus) = &files.gpus {
        requests.push(device::gpus(gpus)?);
    }
    host.put("Devices", mappings)
        .put("DeviceRequests", requests)
        .put("DeviceCgroupRules", &files.device_cgroup_rule);
    Ok(())
}
