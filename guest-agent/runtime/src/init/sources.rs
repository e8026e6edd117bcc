//! What the parent opens before the child exists: the root, sources of binds, namespaces to join.
//!
//! The child inherits the descriptors. What cannot be opened is reported without a process having been made.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use proa_kernel::mount::{self, Change, attribute, propagation};
use proa_kernel::namespace::Namespaces;
use proa_kernel::{resolve, user};
use rustix::fs::{Gid, Mode, OFlags, Uid};

use super::overlay::{self, Mapping};
use super::protocol::During;
use super::root;
use crate::plan::{Bind, IdMap, IdMaps, Layers, MountPlan, MountSource, NamespacePlan, Plan, Root};
use crate::start_error::{StartError, Step};

/// Everything opened.
#[derive(Debug)]
pub(super) struct Sources {
    /// The root, detached.
    pub(super) root: OwnedFd,
    /// One entry per mount of the plan; binds have what to place.
    pub(super) mounts: Vec<Vec<OwnedFd>>,
    /// One entry per device where they are bound instead of made.
    pub(super) devices: Vec<OwnedFd>,
}

impl Sources {
    pub(super) fn open(plan: &Plan) -> Result<Self, StartError> {
        let maps = plan.namespaces.maps.as_ref();
        let mapped = maps
            .filter(|_| has_layers(plan))
            .map(id_namespace)
            .transpose()
            .during(Step::MapIds, plan.id.as_str())?;
        let mapping = mapped.as_ref().zip(maps).map(|(namespace, maps)| Mapping {
            namespace: namespace.as_fd(),
            maps,
        });
        if let (Some(maps), Root::Overlay(overlay)) = (maps, &plan.root) {
            give_to_root(&overlay.upper, maps).during_on(Step::Root, &overlay.upper)?;
        }
        let shared = plan.root_propagation == propagation::SHARED;
        let root = root::mount(&plan.root, shared, mapping)?;
        let mounts = plan
            .mounts
            .iter()
            .map(|mount| mount_sources(mount, mapping))
            .collect::<Result<_, _>>()?;
        // A user namespace may not make device nodes.
        let bind_devices = plan.namespaces.own_kinds().contains(Namespaces::USER);
        let devices = if bind_devices {
            device_sources(plan)?
        } else {
            Vec::new()
        };
        Ok(Self {
            root,
            mounts,
            devices,
        })
    }
}

/// The namespaces that the plan joins by path, in its order.
pub(super) fn open_joins(plan: &NamespacePlan) -> Result<Vec<(Namespaces, OwnedFd)>, StartError> {
    plan.join
        .iter()
        .map(|join| {
            let fd = rustix::fs::open(&join.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            Ok((
                Namespaces::from_bits(join.kind),
                fd.during_on(Step::JoinNamespace, &join.path)?,
            ))
        })
        .collect()
}

/// Whether there is something that the ids of a user namespace are mapped for.
fn has_layers(plan: &Plan) -> bool {
    let shows_layers = |mount: &MountPlan| matches!(mount.source, MountSource::Layers(_));
    matches!(plan.root, Root::Overlay(_)) || plan.mounts.iter().any(shows_layers)
}

fn id_namespace(maps: &IdMaps) -> io::Result<OwnedFd> {
    let (uids, gids) = maps.ranges();
    user::namespace(&uids, &gids)
}

/// The directory for changes is what `/` shows, so it belongs to the namespace's root.
fn give_to_root(upper: &Path, maps: &IdMaps) -> io::Result<()> {
    let root = |maps: &[IdMap]| {
        maps.iter()
            .find(|map| map.inside == 0)
            .map(|map| map.outside)
    };
    let stat = rustix::fs::stat(upper)?;
    let (uid, gid) = (root(&maps.uids), root(&maps.gids));
    if (uid, gid) == (Some(stat.st_uid), Some(stat.st_gid)) || stat.st_uid != 0 {
        return Ok(());
    }
    Ok(rustix::fs::chown(
        upper,
        uid.map(Uid::from_raw),
        gid.map(Gid::from_raw),
    )?)
}

fn mount_sources(
    plan: &MountPlan,
    mapping: Option<Mapping<'_>>,
) -> Result<Vec<OwnedFd>, StartError> {
    match &plan.source {
        MountSource::Layers(layers) => {
            let shown = show_layers(layers, mapping).during_on(Step::Mount, &plan.target)?;
            change(shown.as_fd(), plan).during_on(Step::Mount, &plan.target)?;
            Ok(vec![shown])
        }
        MountSource::Bind(bind) => Ok(vec![bind_source(bind, plan)?]),
        MountSource::Cgroup1 {
            hierarchies,
            namespaced: false,
        } => hierarchies
            .iter()
            .map(|hierarchy| {
                let path = &hierarchy.directory;
                cgroup_source(path, plan).during_on(Step::MountSource, path)
            })
            .collect(),
        MountSource::New(_) | MountSource::Remount | MountSource::Cgroup1 { .. } => Ok(Vec::new()),
    }
}

fn show_layers(layers: &Layers, mapping: Option<Mapping<'_>>) -> io::Result<OwnedFd> {
    let shown = overlay::readonly(&layers.lowers, mapping)?;
    match &layers.beneath {
        Some(inner) => overlay::beneath(&shown, inner),
        None => Ok(shown),
    }
}

fn cgroup_source(path: &Path, plan: &MountPlan) -> io::Result<OwnedFd> {
    let tree = mount::clone_path(path, false)?;
    let change = Change {
        set: plan.set,
        propagation: propagation::PRIVATE,
        ..Change::default()
    };
    mount::change(&tree, &change, false)?;
    Ok(tree)
}

fn bind_source(bind: &Bind, plan: &MountPlan) -> Result<OwnedFd, StartError> {
    let tree = clone_source(bind).during_on(Step::MountSource, &bind.path)?;
    change(tree.as_fd(), plan).during_on(Step::Mount, &plan.target)?;
    if let Some(maps) = &bind.id_maps {
        map_bind(tree.as_fd(), maps, bind).during_on(Step::MapIds, &plan.target)?;
    }
    Ok(tree)
}

/// Whoever can write to the source may turn a folder of it into a link at any time, so none is followed there.
fn clone_source(bind: &Bind) -> io::Result<OwnedFd> {
    let Some(beneath) = &bind.beneath else {
        return mount::clone_path(&bind.path, bind.recursive);
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(&bind.path, flags, Mode::empty())?;
    let found = resolve::open_plain(root, beneath, OFlags::PATH)?;
    mount::clone_tree(found, c"", bind.recursive)
}

fn map_bind(tree: BorrowedFd<'_>, maps: &IdMaps, bind: &Bind) -> io::Result<()> {
    let namespace = id_namespace(maps)?;
    let change = Change {
        user_namespace: Some(namespace.as_fd()),
        ..Change::default()
    };
    if !bind.id_maps_optional {
        return mount::change(tree, &change, bind.id_maps_recursive);
    }
    // As much as can be: all that is mounted there, the first, nothing.
    if bind.recursive && mount::change(tree, &change, true).is_ok() {
        return Ok(());
    }
    match mount::change(tree, &change, false) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM)) => Ok(()),
        other => other,
    }
}

/// Applies a mount's attributes and propagation, in as few calls as their scopes allow.
pub(super) fn change(tree: BorrowedFd<'_>, plan: &MountPlan) -> io::Result<()> {
    let (set, clear) = (plan.set, plan.clear);
    if set | clear != 0 {
        mount::change(
            tree,
            &Change {
                set,
                clear: whole_atime(set, clear),
                ..Change::default()
            },
            false,
        )?;
    }
    let (set, clear) = (plan.recursive_set, plan.recursive_clear);
    if set | clear != 0 {
        mount::change(
            tree,
            &Change {
                set,
                clear: whole_atime(set, clear),
                ..Change::default()
            },
            true,
        )?;
    }
    for &(propagation, recursive) in &plan.propagation {
        mount::change(
            tree,
            &Change {
                propagation,
                ..Change::default()
            },
            recursive,
        )?;
    }
    Ok(())
}

/// The kernel wants all access time bits cleared when any of them changes.
fn whole_atime(set: u64, clear: u64) -> u64 {
    if (set | clear) & attribute::ATIME == 0 {
        clear
    } else {
        clear | attribute::ATIME
    }
}

fn device_sources(plan: &Plan) -> Result<Vec<OwnedFd>, StartError> {
    plan.devices
        .iter()
        .map(|device| mount::clone_path(&device.path, false).during_on(Step::Device, &device.path))
        .collect()
}
