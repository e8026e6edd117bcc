//! One cgroup: made, entered, limited, counted, listed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::{
    CgroupError, CgroupPath, Controller, Entrance, Hierarchy, Limits, Stats, Version, files, v1, v2,
};

/// One cgroup: on version 1 a directory in each hierarchy that is used, on version 2 one directory.
///
/// A name, not an owner: dropping it changes nothing, [`Cgroup::delete`] takes it away.
#[derive(Clone, Debug)]
pub struct Cgroup {
    pub(super) hierarchy: Hierarchy,
    pub(super) path: CgroupPath,
}

impl Hierarchy {
    /// Makes the cgroup `path` with `limits` in force, and what is missing above it.
    ///
    /// Left-overs of an earlier cgroup of that name are swept first; one with processes is refused.
    pub fn create(&self, path: &CgroupPath, limits: &Limits) -> Result<Cgroup, CgroupError> {
        limits.check()?;
        let group = self.open(path);
        let made = match self.version() {
            Version::V2 => v2::create(&group, limits),
            Version::V1 | Version::Hybrid => v1::create(&group, limits),
        };
        if let Err(error) = made {
            // The error that matters is the first one; a cgroup in use is not ours to take away.
            if !matches!(error, CgroupError::Busy(_)) {
                let _ = group.delete();
            }
            return Err(error);
        }
        Ok(group)
    }

    /// The cgroup `path`, whether it exists or not.
    pub fn open(&self, path: &CgroupPath) -> Cgroup {
        Cgroup {
            hierarchy: self.clone(),
            path: path.clone(),
        }
    }

    /// The cgroups called `name`, wherever they are beneath the base.
    pub fn find(&self, name: &str) -> Vec<CgroupPath> {
        let bases = Controller::ALL
            .into_iter()
            .filter_map(|controller| self.base(controller));
        let bases: BTreeSet<&Path> = bases.chain(self.unified()).collect();
        let mut found = BTreeSet::new();
        for base in bases {
            let named = files::tree(base)
                .into_iter()
                .filter(|directory| directory.file_name() == Some(name.as_ref()));
            let relative = named
                .filter_map(|directory| directory.strip_prefix(base).ok()?.to_str()?.parse().ok());
            found.extend(relative);
        }
        found.into_iter().collect()
    }

    /// The cgroups directly beneath `path` that exist: what a sweep compares with what should be there.
    pub fn children(&self, path: &CgroupPath) -> Vec<CgroupPath> {
        let directories = self.open(path).directories();
        let all = directories
            .iter()
            .flat_map(|directory| files::children(directory));
        let names: BTreeSet<_> = all
            .filter_map(|child| Some(child.file_name()?.to_str()?.to_owned()))
            .collect();
        names
            .iter()
            .filter_map(|name| path.join(name).ok())
            .collect()
    }
}

impl Cgroup {
    /// Where it sits.
    pub fn path(&self) -> &CgroupPath {
        &self.path
    }

    /// The hierarchy it is in.
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// Whether any of its directories exists.
    pub fn exists(&self) -> bool {
        self.directories()
            .iter()
            .any(|directory| directory.is_dir())
    }

    /// Puts `limits` in force on a live cgroup; what they leave out stays.
    pub fn apply(&self, limits: &Limits) -> Result<(), CgroupError> {
        limits.check()?;
        match self.hierarchy.version() {
            Version::V2 => v2::apply(self, limits),
            Version::V1 | Version::Hybrid => v1::apply(self, limits),
        }
    }

    /// Opens the way in for a new process.
    pub fn entrance(&self) -> Result<Entrance, CgroupError> {
        let mut entrance = Entrance::default();
        if let Some(directory) = self.unified_directory() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let opened = rustix::fs::open(&directory, flags, Mode::empty());
            entrance.directory =
                Some(opened.map_err(|error| CgroupError::read(&directory, error.into()))?);
        }
        for directory in self.v1_directories() {
            let file = directory.join("tasks");
            match rustix::fs::open(&file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
                Ok(opened) => entrance.tasks.push(opened),
                // A controller that this cgroup does not use.
                Err(rustix::io::Errno::NOENT) => (),
                Err(error) => return Err(CgroupError::write(&file, "", error.into())),
            }
        }
        Ok(entrance)
    }

    /// Moves a whole process in. Slower than an [`Entrance`]; meant for processes that run already.
    pub fn add(&self, pid: i32) -> Result<(), CgroupError> {
        for directory in self
            .directories()
            .into_iter()
            .filter(|directory| directory.is_dir())
        {
            files::write(&directory, "cgroup.procs", &pid.to_string())?;
        }
        Ok(())
    }

    /// The processes in it and in the cgroups beneath it.
    pub fn pids(&self) -> Result<Vec<i32>, CgroupError> {
        let mut pids = BTreeSet::new();
        for directory in self.directories() {
            for directory in files::tree(&directory) {
                pids.extend(files::read_pids(&directory, "cgroup.procs")?);
            }
        }
        // A process of another PID namespace shows as zero.
        pids.remove(&0);
        Ok(pids.into_iter().collect())
    }

    /// What it used so far.
    pub fn stats(&self) -> Result<Stats, CgroupError> {
        match self.hierarchy.version() {
            Version::V2 => v2::stats(self),
            Version::V1 | Version::Hybrid => v1::stats(self),
        }
    }

    /// Its directory in the version 2 tree, where one is mounted.
    pub fn unified_directory(&self) -> Option<PathBuf> {
        self.hierarchy.unified().map(|base| base.join(&self.path))
    }

    /// Its version 1 directory for `controller`, whether it exists or not.
    pub fn v1_directory(&self, controller: Controller) -> Option<PathBuf> {
        self.hierarchy.directory(controller, &self.path)
    }

    /// Its version 1 directories, each once though several controllers may share a mount.
    pub(super) fn v1_directories(&self) -> BTreeSet<PathBuf> {
        Controller::ALL
            .into_iter()
            .filter_map(|controller| self.v1_directory(controller))
            .collect()
    }

    /// Every directory it may have.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        let mut all = self.v1_directories();
        all.extend(self.unified_directory());
        all
    }
}
