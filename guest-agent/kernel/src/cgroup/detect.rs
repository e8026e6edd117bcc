//! What this host mounts of cgroups, and the place beneath it where this process may work.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{CgroupError, CgroupPath};

/// A controller, by the name it has on version 1; on version 2 `blkio` is `io` and `cpuacct` a part of `cpu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the kernel's names")]
pub enum Controller {
    Cpu,
    Cpuacct,
    Cpuset,
    Memory,
    Blkio,
    Pids,
    Devices,
    Freezer,
    Hugetlb,
}

impl Controller {
    /// Every controller that is of use here.
    pub const ALL: [Self; 9] = [
        Self::Cpu,
        Self::Cpuacct,
        Self::Cpuset,
        Self::Memory,
        Self::Blkio,
        Self::Pids,
        Self::Devices,
        Self::Freezer,
        Self::Hugetlb,
    ];

    /// The name in version 1's mount options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Memory => "memory",
            Self::Blkio => "blkio",
            Self::Pids => "pids",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::Hugetlb => "hugetlb",
        }
    }

    /// The name in version 2's `cgroup.controllers`; `None` where the version's core does the work.
    pub(super) fn unified_name(self) -> Option<&'static str> {
        match self {
            Self::Blkio => Some("io"),
            Self::Cpuacct | Self::Devices | Self::Freezer => None,
            Self::Cpu | Self::Cpuset | Self::Memory | Self::Pids | Self::Hugetlb => {
                Some(self.name())
            }
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which interface the controllers are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Version 1 only.
    V1,
    /// Version 1 controllers, and a version 2 tree without any.
    Hybrid,
    /// Version 2.
    V2,
}

/// The cgroup file systems as this process sees them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    version: Version,
    /// Version 1: where each controller's cgroups are made.
    bases: BTreeMap<Controller, PathBuf>,
    /// Version 2, with or without controllers: where cgroups are made.
    unified: Option<PathBuf>,
    /// Controllers of the version 2 base.
    unified_controllers: HashSet<String>,
    /// Version 2 directories whose children have the controllers already.
    prepared: Mutex<HashSet<PathBuf>>,
}

impl Hierarchy {
    /// Looks at this process's mounts and cgroups. Changes nothing.
    pub fn detect() -> Result<Self, CgroupError> {
        let text = |file: &str| {
            fs::read_to_string(file).map_err(|source| CgroupError::read(Path::new(file), source))
        };
        let found = Found::parse(&text("/proc/self/mountinfo")?, &text("/proc/self/cgroup")?);
        Self::of(found)
    }

    /// A version 2 tree mounted at `mount`, whatever else the host has: a private mount of one's own.
    pub fn unified_at(mount: &Path) -> Result<Self, CgroupError> {
        Self::of(Found {
            controllers: BTreeMap::new(),
            unified: Some(Place {
                mount: mount.into(),
                own: None,
            }),
        })
    }

    fn of(found: Found) -> Result<Self, CgroupError> {
        let unified = found.unified.as_ref().map(Place::unified_base);
        let version = match (&unified, found.controllers.is_empty()) {
            (None, true) => return Err(CgroupError::NotMounted),
            (None, false) => Version::V1,
            (Some(_), false) => Version::Hybrid,
            (Some(_), true) => Version::V2,
        };
        let unified_controllers = unified.as_deref().map(controllers_of).unwrap_or_default();
        let bases = found
            .controllers
            .into_iter()
            .map(|(controller, place)| (controller, place.base()))
            .collect();
        let prepared = Mutex::default();
        Ok(Self {
            inner: Arc::new(Inner {
                version,
                bases,
                unified,
                unified_controllers,
                prepared,
            }),
        })
    }

    /// Which interface the controllers are on.
    pub fn version(&self) -> Version {
        self.inner.version
    }

    /// Whether limits or counters of `controller` work here.
    pub fn has(&self, controller: Controller) -> bool {
        match self.inner.version {
            Version::V1 | Version::Hybrid => {
                let core = controller == Controller::Freezer && self.inner.unified.is_some();
                core || self.inner.bases.contains_key(&controller)
            }
            Version::V2 => match controller.unified_name() {
                Some(name) => self.inner.unified_controllers.contains(name),
                None => true,
            },
        }
    }

    /// Every controller that works here.
    pub fn controllers(&self) -> Vec<Controller> {
        Controller::ALL
            .into_iter()
            .filter(|&controller| self.has(controller))
            .collect()
    }

    /// The directory under which all cgroups of `controller` are made, for messages and for mounts.
    pub fn base(&self, controller: Controller) -> Option<&Path> {
        match self.inner.version {
            Version::V1 | Version::Hybrid => {
                self.inner.bases.get(&controller).map(PathBuf::as_path)
            }
            Version::V2 => self.unified().filter(|_| self.has(controller)),
        }
    }

    /// The base in the version 2 tree, where one is mounted.
    pub fn unified(&self) -> Option<&Path> {
        self.inner.unified.as_deref()
    }

    /// Version 1's directory of `path` for a controller.
    pub(super) fn directory(&self, controller: Controller, path: &CgroupPath) -> Option<PathBuf> {
        self.inner
            .bases
            .get(&controller)
            .map(|base| base.join(path))
    }

    /// Whether version 2's controllers are known to be on for the children of `directory`.
    pub(super) fn is_prepared(&self, directory: &Path) -> bool {
        self.inner
            .prepared
            .lock()
            .is_ok_and(|prepared| prepared.contains(directory))
    }

    pub(super) fn note_prepared(&self, directory: PathBuf) {
        if let Ok(mut prepared) = self.inner.prepared.lock() {
            prepared.insert(directory);
        }
    }

    pub(super) fn forget_prepared(&self, directory: &Path) {
        if let Ok(mut prepared) = self.inner.prepared.lock() {
            prepared.retain(|known| !known.starts_with(directory));
        }
    }
}

/// What the two proc files say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    controllers: BTreeMap<Controller, Place>,
    unified: Option<Place>,
}

/// One mounted hierarchy, and where in it this process is (`None` where that lies outside of what is mounted).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    mount: PathBuf,
    own: Option<PathBuf>,
}

impl Place {
    /// The top of the mount where it can be written; else this process's own cgroup, which an administrator may have
    /// handed over.
    fn base(self) -> PathBuf {
        match self.own {
            Some(own) if !writable(&self.mount) => self.mount.join(own),
            Some(_) | None => self.mount,
        }
    }

    /// On version 2 a cgroup that systemd delegated and in whose sub-group we run comes first (`Delegate=` with
    /// `DelegateSubgroup=`): its owner promised to leave it alone.
    fn unified_base(&self) -> PathBuf {
        let own = self.own.as_ref().map(|own| self.mount.join(own));
        let delegated = own
            .as_deref()
            .and_then(Path::parent)
            .filter(|parent| parent.starts_with(&self.mount));
        match delegated {
            Some(parent) if is_delegated(parent) => parent.to_owned(),
            Some(_) | None => self.clone().base(),
        }
    }
}

fn writable(directory: &Path) -> bool {
    rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
}

/// systemd marks what it delegates with an extended attribute.
fn is_delegated(directory: &Path) -> bool {
    let mut value = [0u8; 2];
    ["trusted.delegate", "user.delegate"].iter().any(|name| {
        rustix::fs::getxattr(directory, *name, &mut value)
            .is_ok_and(|length| &value[..length] == b"1")
    })
}

fn controllers_of(unified: &Path) -> HashSet<String> {
    let text = fs::read_to_string(unified.join("cgroup.controllers")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

impl Found {
    /// From `/proc/self/mountinfo` and `/proc/self/cgroup` (proc(5), cgroups(7)).
    fn parse(mountinfo: &str, own: &str) -> Self {
        let own = own_paths(own);
        let mut found = Self::default();
        for line in mountinfo.lines() {
            let Some(mount) = CgroupMount::parse(line) else {
                continue;
            };
            if mount.unified {
                let place = mount.place(own.get("").copied());
                found.unified.get_or_insert(place);
                continue;
            }
            for controller in Controller::ALL {
                if mount
                    .options
                    .split(',')
                    .any(|option| option == controller.name())
                {
                    let place = mount.place(own.get(controller.name()).copied());
                    found.controllers.entry(controller).or_insert(place);
                }
            }
        }
        found
    }
}

/// Controller name (empty for version 2) to this process's path.
fn own_paths(text: &str) -> BTreeMap<&str, &str> {
    let mut paths = BTreeMap::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        if let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        {
            paths.extend(controllers.split(',').map(|controller| (controller, path)));
        }
    }
    paths
}

/// A line of mountinfo that mounts cgroups.
struct CgroupMount<'a> {
    root: String,
    mount: String,
    unified: bool,
    options: &'a str,
}

impl<'a> CgroupMount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let unified = match after.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let options = after.nth(1)?;
        let mut before = before.split(' ');
        let root = unescape(before.nth(3)?);
        let mount = unescape(before.next()?);
        Some(Self {
            root,
            mount,
            unified,
            options,
        })
    }

    fn place(&self, own: Option<&str>) -> Place {
        let beneath = |own: &str| {
            Path::new(own)
                .strip_prefix(&self.root)
                .ok()
                .map(Path::to_owned)
        };
        Place {
            mount: PathBuf::from(&self.mount),
            own: own.and_then(beneath),
        }
    }
}

/// Mountinfo writes blanks, tabs, newlines and backslashes as `\` and three octal digits.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let byte = after
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = byte {
            plain.push(char::from(byte));
            rest = &after[3..];
        } else {
            plain.push('\\');
            rest = after;
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
20 1 8:1 / / rw - ext4 /dev/vda rw
30 20 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified\\040x rw - cgroup2 cgroup2 rw";

    fn place(mount: &str, own: Option<&str>) -> Place {
        Place {
            mount: mount.into(),
            own: own.map(PathBuf::from),
        }
    }

    #[test]
    fn mounts_and_own_place_are_found_per_controller() {
        let own = "4:memory:/docker/ab/sub\n3:cpu,cpuacct:/\n1:name=systemd:/x\n0::/user.slice";
        let found = Found::parse(HYBRID, own);
        let cpu = place("/sys/fs/cgroup/cpu,cpuacct", Some(""));
        assert_eq!(found.controllers[&Controller::Cpu], cpu);
        assert_eq!(found.controllers[&Controller::Cpuacct], cpu);
        assert_eq!(
            found.controllers[&Controller::Memory],
            place("/sys/fs/cgroup/memory", Some("sub"))
        );
        assert_eq!(found.controllers.len(), 3);
        assert_eq!(
            found.unified,
            Some(place("/sys/fs/cgroup/unified x", Some("user.slice")))
        );
    }

    #[test]
    fn an_own_path_outside_of_the_mount_is_unknown() {
        let found = Found::parse(HYBRID, "4:memory:/elsewhere");
        assert_eq!(found.controllers[&Controller::Memory].own, None);
    }

    #[test]
    fn this_host_has_memory_and_pids() {
        let hierarchy = Hierarchy::detect().unwrap();
        assert!(hierarchy.has(Controller::Memory) && hierarchy.has(Controller::Pids));
        assert!(hierarchy.base(Controller::Memory).unwrap().is_dir());
    }
}
