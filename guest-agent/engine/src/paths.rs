//! Where things are kept.
//!
//! ```text
//! <root>/state.db                      containers and volumes that survive a boot
//! <root>/containers/<id>/              upper, work, log, hostname, hosts, resolv.conf
//! <root>/spare/<n>/                    folders for containers to come
//! <root>/ground/                       the lowest layer of every root
//! <root>/volumes/<name>/_data
//! <run>/containers/<id>/               monitor.sock, exit, and what this boot alone needs to know
//! ```

use std::path::{Path, PathBuf};

use crate::id::Id;

/// The folders of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    root: PathBuf,
    run: PathBuf,
}

impl Paths {
    pub(crate) fn new(root: &Path, run: &Path) -> Self {
        Paths {
            root: root.to_owned(),
            run: run.to_owned(),
        }
    }

    /// What happened lately.
    pub(crate) fn events(&self) -> PathBuf {
        self.run.join("events")
    }

    pub(crate) fn state_db(&self) -> PathBuf {
        self.root.join("state.db")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    pub(crate) fn container(&self, id: &Id) -> PathBuf {
        self.root.join("containers").join(id.as_str())
    }

    pub(crate) fn spare(&self) -> PathBuf {
        self.root.join("spare")
    }

    pub(crate) fn ground(&self) -> PathBuf {
        self.root.join("ground")
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub(crate) fn run_containers(&self) -> PathBuf {
        self.run.join("containers")
    }

    pub(crate) fn run_container(&self, id: &Id) -> PathBuf {
        self.run.join("containers").join(id.as_str())
    }
}
