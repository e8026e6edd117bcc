//! Mounts: the spec's fstab-style options sorted into what the mount API takes.

use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;
use serde::{Deserialize, Serialize};

use super::build::clean;
use super::options::{Flags, Sorted};
use super::{CgroupView, IdMaps, PlanError};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPlan {
    /// The container path it is placed on.
    pub target: PathBuf,
    /// What is mounted.
    pub source: MountSource,
    /// `MOUNT_ATTR_*` bits to set on the mount itself.
    pub set: u64,
    /// `MOUNT_ATTR_*` bits to clear on the mount itself.
    pub clear: u64,
    /// The same for the mount and all below it.
    pub recursive_set: u64,
    /// The same for the mount and all below it.
    pub recursive_clear: u64,
    /// `MS_*` propagation bits to apply in this order, each with whether it is for the whole tree.
    pub propagation: Vec<(u64, bool)>,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// Something that exists on the host.
    Bind(Bind),
    /// A new file system.
    New(FileSystem),
    /// A change of what is mounted there already.
    Remount,
    /// Nothing new: the version 1 hierarchies, gathered in a tmpfs.
    Cgroup1 {
        /// One per hierarchy.
        hierarchies: Vec<super::CgroupMount>,
        /// Mounted anew as seen from the cgroup namespace, not bound.
        namespaced: bool,
    },
    /// Layers to look into.
    Layers(Layers),
}

/// The option of a bind that names a folder of its source, as `mount(8)` has it.
pub const BENEATH: &str = "X-mount.subdir";

/// The option of a bind with id maps that they may be left out where its file system has no idmapped mounts.
pub const OPTIONAL_IDS: &str = "X-proa.idmap";

/// A bind mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Its path on the host.
    pub path: PathBuf,
    /// What of the directory at `path` is bound, if not all: reached without following a link.
    pub beneath: Option<PathBuf>,
    /// With the mounts below it.
    pub recursive: bool,
    /// Ids shown differently.
    pub id_maps: Option<IdMaps>,
    /// The id maps hold for the mounts below it too.
    pub id_maps_recursive: bool,
    /// Without them where the file system cannot: its files are nobody's there.
    pub id_maps_optional: bool,
}

/// Layers shown over one another, read-only: an overlay without a directory for changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// The layers, top first.
    pub lowers: Vec<PathBuf>,
    /// What of them is shown, if not all; links are followed inside of them.
    pub beneath: Option<PathBuf>,
}

impl Layers {
    /// As the options of a mount of type `overlay`; overlayfs splits its list at colons.
    pub fn options(&self) -> Vec<String> {
        let escaped = |path: &PathBuf| {
            let text = path.to_string_lossy();
            text.replace('\\', "\\\\").replace(':', "\\:")
        };
        let lowers: Vec<String> = self.lowers.iter().map(escaped).collect();
        let beneath = self.beneath.iter();
        let beneath = beneath.map(|inner| format!("{BENEATH}={}", inner.display()));
        std::iter::once(format!("lowerdir={}", lowers.join(":")))
            .chain(beneath)
            .collect()
    }

    /// What such options ask for; an overlay to write to is another thing.
    fn from_options(sorted: &Sorted) -> Option<Self> {
        let lowers = sorted.value("lowerdir")?;
        if sorted.value("upperdir").is_some() {
            return None;
        }
        Some(Self {
            lowers: split_escaped(lowers).map(PathBuf::from).collect(),
            beneath: sorted.value(BENEATH).map(PathBuf::from),
        })
    }
}

/// Splits at colons that no backslash stands before, and takes the backslashes away.
fn split_escaped(text: &str) -> impl Iterator<Item = String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, parts.last_mut()) {
            (':', _) => parts.push(String::new()),
            ('\\', Some(part)) => part.extend(letters.next()),
            (letter, Some(part)) => part.push(letter),
            (_, None) => {}
        }
    }
    parts.into_iter()
}

/// A new file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    /// `tmpfs`, `proc` and so on.
    pub fstype: String,
    /// What `/proc/mounts` shows as its device.
    pub source: String,
    /// Options of the file system.
    pub options: Vec<(String, Option<String>)>,
    /// What the image has at the target is copied into it.
    pub copy_up: bool,
}

/// What mounts depend on outside their own section.
pub(super) struct View<'a> {
    pub(super) bundle: &'a Path,
    pub(super) cgroup: &'a CgroupView,
    pub(super) cgroup_namespace: bool,
    pub(super) label: Option<&'a str>,
    pub(super) root_propagation: u64,
}

impl MountPlan {
    /// Whether this brings a `/dev` from the host, which then is not ours to fill.
    pub(super) fn is_bound_dev(&self) -> bool {
        self.target == Path::new("/dev") && matches!(self.source, MountSource::Bind(_))
    }
}

pub(super) fn plan(mounts: &[Mount], view: &View<'_>) -> Result<Vec<MountPlan>, PlanError> {
    mounts.iter().map(|mount| one(mount, view)).collect()
}

fn one(mount: &Mount, view: &View<'_>) -> Result<MountPlan, PlanError> {
    let target = clean(mount.destination())?;
    let typ = mount.typ().as_deref().unwrap_or_default();
    let sorted = Sorted::new(mount.options().as_deref().unwrap_or_default())?;
    let bind = typ == "bind" || sorted.flags.contains(Flags::BIND);
    let mut propagation = sorted.propagation.clone();
    let source = if sorted.flags.contains(Flags::REMOUNT) {
        MountSource::Remount
    } else if bind {
        if propagation.is_empty() {
            propagation.push((view.root_propagation, true));
        }
        MountSource::Bind(bind_source(mount, &sorted, view.bundle)?)
    } else {
        file_system(typ, mount, &sorted, view)?
    };
    Ok(MountPlan {
        target,
        source,
        set: sorted.set,
        clear: sorted.clear,
        recursive_set: sorted.recursive_set,
        recursive_clear: sorted.recursive_clear,
        propagation,
    })
}

fn bind_source(mount: &Mount, sorted: &Sorted, bundle: &Path) -> Result<Bind, PlanError> {
    let path = mount
        .source()
        .as_ref()
        .ok_or(PlanError::Missing("source of a bind mount"))?;
    Ok(Bind {
        path: bundle.join(path),
        beneath: sorted.value(BENEATH).map(PathBuf::from),
        recursive: sorted.flags.contains(Flags::RECURSIVE),
        id_maps: IdMaps::from_spec(mount.uid_mappings().as_ref(), mount.gid_mappings().as_ref()),
        id_maps_recursive: sorted.flags.contains(Flags::RECURSIVE_IDMAP),
        id_maps_optional: sorted.options.iter().any(|(key, _)| key == OPTIONAL_IDS),
    })
}

fn file_system(
    typ: &str,
    mount: &Mount,
    sorted: &Sorted,
    view: &View<'_>,
) -> Result<MountSource, PlanError> {
    if typ.is_empty() {
        return Err(PlanError::Missing("type of a mount"));
    }
    if typ == "cgroup"
        && let CgroupView::PerController(hierarchies) = view.cgroup
    {
        return Ok(MountSource::Cgroup1 {
            hierarchies: hierarchies.clone(),
            namespaced: view.cgroup_namespace,
        });
    }
    if typ == "overlay"
        && let Some(layers) = Layers::from_options(sorted)
    {
        return Ok(MountSource::Layers(layers));
    }
    let fstype = if typ == "cgroup" { "cgroup2" } else { typ };
    let mut options = sorted.options.clone();
    // Kernel file systems that are shared with the host refuse options of one mount's own.
    if matches!(fstype, "cgroup2") {
        options.clear();
    }
    if let Some(label) = view.label
        && matches!(fstype, "tmpfs" | "mqueue" | "devpts")
    {
        options.push(("context".to_owned(), Some(label.to_owned())));
    }
    Ok(MountSource::New(FileSystem {
        fstype: fstype.to_owned(),
        source: mount.source().as_ref().map_or(fstype.to_owned(), |source| {
            source.to_string_lossy().into_owned()
        }),
        options,
        copy_up: sorted.flags.contains(Flags::COPY_UP),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_survive_their_options() {
        let layers = Layers {
            lowers: ["/a:b", "/c\\d", "/e"].map(PathBuf::from).to_vec(),
            beneath: Some("sub/folder".into()),
        };
        let options = layers.options();
        assert_eq!(options[0], "lowerdir=/a\\:b:/c\\\\d:/e");
        let sorted = Sorted::new(&options).unwrap();
        assert_eq!(Layers::from_options(&sorted), Some(layers));
        let writable = ["lowerdir=/a", "upperdir=/u", "workdir=/w"].map(str::to_owned);
        assert_eq!(Layers::from_options(&Sorted::new(&writable).unwrap()), None);
    }
}
