//! Which namespaces a container makes, joins and how they are filled.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType};
use proa_kernel::namespace::Namespaces;
use proa_kernel::user::Range;
use serde::{Deserialize, Serialize};

use super::PlanError;

/// Namespaces of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespacePlan {
    /// `CLONE_NEW*` bits of those to make.
    pub new: u32,
    /// Existing ones to join.
    pub join: Vec<Join>,
    /// `CLONE_NEW*` bits of those to join whose descriptors come with the launch.
    pub given: u32,
    /// Maps of a new user namespace.
    pub maps: Option<IdMaps>,
    /// Offsets of a new time namespace as the lines the kernel reads.
    pub time_offsets: Option<String>,
}

impl NamespacePlan {
    /// Those to make.
    pub fn new_kinds(&self) -> Namespaces {
        Namespaces::from_bits(self.new)
    }

    /// Those to join.
    pub fn joined_kinds(&self) -> Namespaces {
        self.join.iter().fold(Namespaces::NONE, |all, join| {
            all | Namespaces::from_bits(join.kind)
        })
    }

    /// Those the container does not share with whoever starts it.
    pub fn own_kinds(&self) -> Namespaces {
        self.new_kinds() | self.joined_kinds() | Namespaces::from_bits(self.given)
    }

    /// Whether the network namespace is somebody else's, and the user namespace its own: it has no rights there.
    pub fn network_is_foreign(&self) -> bool {
        let new = self.new_kinds();
        new.contains(Namespaces::USER)
            && !new.contains(Namespaces::NET)
            && self.own_kinds().contains(Namespaces::NET)
    }

    /// A namespace that was to be made comes with the launch instead, made already.
    pub fn give(&mut self, kind: Namespaces) {
        self.new &= !kind.bits();
        self.given |= kind.bits();
    }
}

/// A namespace to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// One `CLONE_NEW*` bit.
    pub kind: u32,
    /// A file that refers to it.
    pub path: PathBuf,
}

/// Maps of user and group ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    /// User ids.
    pub uids: Vec<IdMap>,
    /// Group ids.
    pub gids: Vec<IdMap>,
}

/// One range of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub length: u32,
}

impl From<&IdMap> for Range {
    fn from(map: &IdMap) -> Self {
        Self {
            inside: map.inside,
            outside: map.outside,
            length: map.length,
        }
    }
}

/// Who the host calls nobody: `/proc/sys/kernel/overflowuid`'s default.
const NOBODY: u32 = 65534;

impl IdMaps {
    /// A user and a group as the host knows them; nobody, where there is no map for them.
    pub fn outside(&self, uid: u32, gid: u32) -> (u32, u32) {
        let of = |maps: &[IdMap], id: u32| {
            let mapped = |map: &IdMap| {
                let offset = id.checked_sub(map.inside).filter(|at| *at < map.length)?;
                map.outside.checked_add(offset)
            };
            maps.iter().find_map(mapped).unwrap_or(NOBODY)
        };
        (of(&self.uids, uid), of(&self.gids, gid))
    }

    /// The ranges as the kernel takes them: user ids, group ids.
    pub fn ranges(&self) -> (Vec<Range>, Vec<Range>) {
        (
            self.uids.iter().map(Range::from).collect(),
            self.gids.iter().map(Range::from).collect(),
        )
    }

    pub(super) fn from_spec(
        uids: Option<&Vec<LinuxIdMapping>>,
        gids: Option<&Vec<LinuxIdMapping>>,
    ) -> Option<Self> {
        let ranges = |maps: Option<&Vec<LinuxIdMapping>>| -> Vec<IdMap> {
            maps.into_iter()
                .flatten()
                .map(|map| IdMap {
                    inside: map.container_id(),
                    outside: map.host_id(),
                    length: map.size(),
                })
                .collect()
        };
        let maps = Self {
            uids: ranges(uids),
            gids: ranges(gids),
        };
        (!maps.uids.is_empty() || !maps.gids.is_empty()).then_some(maps)
    }
}

/// The `CLONE_NEW*` bit and the name in `/proc/PID/ns` of a namespace type.
fn kind(typ: LinuxNamespaceType) -> (Namespaces, &'static str) {
    match typ {
        LinuxNamespaceType::Mount => (Namespaces::MOUNT, "mount"),
        LinuxNamespaceType::Cgroup => (Namespaces::CGROUP, "cgroup"),
        LinuxNamespaceType::Uts => (Namespaces::UTS, "uts"),
        LinuxNamespaceType::Ipc => (Namespaces::IPC, "ipc"),
        LinuxNamespaceType::User => (Namespaces::USER, "user"),
        LinuxNamespaceType::Pid => (Namespaces::PID, "pid"),
        LinuxNamespaceType::Network => (Namespaces::NET, "network"),
        LinuxNamespaceType::Time => (Namespaces::TIME, "time"),
    }
}

pub(super) fn plan(linux: &Linux) -> Result<NamespacePlan, PlanError> {
    let mut plan = NamespacePlan::default();
    let mut seen = Namespaces::NONE;
    for namespace in linux.namespaces().iter().flatten() {
        let (bit, name) = kind(namespace.typ());
        if seen.contains(bit) {
            return Err(PlanError::TwoNamespaces(name));
        }
        seen |= bit;
        match namespace.path() {
            Some(path) if path != Path::new("") => {
                plan.join.push(Join {
                    kind: bit.bits(),
                    path: path.clone(),
                });
            }
            _ => plan.new |= bit.bits(),
        }
    }
    plan.maps = maps(linux, plan.new_kinds())?;
    plan.time_offsets = time_offsets(linux);
    Ok(plan)
}

fn maps(linux: &Linux, new: Namespaces) -> Result<Option<IdMaps>, PlanError> {
    let maps = IdMaps::from_spec(linux.uid_mappings().as_ref(), linux.gid_mappings().as_ref());
    if !new.contains(Namespaces::USER) {
        // Mappings beside a joined namespace describe it; they are not written again.
        return Ok(None);
    }
    match maps {
        Some(maps) if !maps.uids.is_empty() && !maps.gids.is_empty() => Ok(Some(maps)),
        _ => Err(PlanError::Mappings),
    }
}

fn time_offsets(linux: &Linux) -> Option<String> {
    let offsets = linux.time_offsets().as_ref()?;
    let mut lines: Vec<String> = offsets
        .iter()
        .map(|(clock, offset)| {
            format!(
                "{clock} {} {}\n",
                offset.secs().unwrap_or(0),
                offset.nanosecs().unwrap_or(0)
            )
        })
        .collect();
    lines.sort();
    (!lines.is_empty()).then(|| lines.concat())
}
