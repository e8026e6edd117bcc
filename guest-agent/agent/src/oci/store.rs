//! The folder of a container: its state, its spec, its gate.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::arguments::Globals;
use super::error::OciError;

/// What is kept about a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub id: String,
    pub bundle: PathBuf,
    pub rootfs: PathBuf,
    /// RFC 3339.
    pub created: String,
    pub pid: i32,
    /// When the process began, in ticks since boot: tells it from a later one of the same number.
    pub start_time: u64,
    /// The command has been let go.
    pub started: bool,
    /// Below the hierarchies' base.
    pub cgroup: String,
    /// `CLONE_NEW*` bits of the namespaces of its own.
    pub namespaces: u32,
    pub annotations: std::collections::BTreeMap<String, String>,
}

/// A container's folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub path: PathBuf,
}

impl Folder {
    fn of(globals: &Globals, id: &str) -> Result<Self, OciError> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        if id.is_empty() || id.len() > 1024 || !id.bytes().all(good) || matches!(id, "." | "..") {
            return Err(OciError::BadId(id.to_owned()));
        }
        Ok(Self {
            path: globals.root.join(id),
        })
    }

    /// Makes the folder of a new container.
    pub(super) fn make(globals: &Globals, id: &str) -> Result<Self, OciError> {
        let folder = Self::of(globals, id)?;
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        builder
            .recursive(true)
            .create(&globals.root)
            .map_err(OciError::file("make", &globals.root))?;
        match builder.recursive(false).create(&folder.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(OciError::Exists(id.to_owned()))
            }
            other => other
                .map(|()| folder)
                .map_err(OciError::file("make", globals.root.join(id))),
        }
    }

    /// The folder of a container that is there.
    pub(super) fn open(globals: &Globals, id: &str) -> Result<Self, OciError> {
        let folder = Self::of(globals, id)?;
        if folder.path.is_dir() {
            Ok(folder)
        } else {
            Err(OciError::NotFound(id.to_owned()))
        }
    }

    /// The ids of all containers.
    pub(super) fn ids(globals: &Globals) -> Vec<String> {
        let entries = fs::read_dir(&globals.root).into_iter().flatten().flatten();
        let mut ids: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        ids.sort();
        ids
    }

    /// The state; a container without one is still being made or was left behind by a crash.
    pub(super) fn record(&self, id: &str) -> Result<Record, OciError> {
        let path = self.path.join("state.json");
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|source| OciError::Json { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(OciError::NotFound(id.to_owned()))
            }
            Err(error) => Err(OciError::file("read", path)(error)),
        }
    }

    /// Writes the state as a whole.
    pub(super) fn write_record(&self, record: &Record) -> Result<(), OciError> {
        let bytes = serde_json::to_vec(record)
            .map_err(|error| OciError::io("write the state")(error.into()))?;
        write_whole(&self.path.join("state.json"), &bytes)
    }

    /// The spec as it was when the container was made.
    pub(super) fn spec(&self) -> Result<Spec, OciError> {
        read_spec(&self.path.join("config.json"))
    }

    /// Keeps the spec.
    pub(super) fn keep_spec(&self, bundle: &Path) -> Result<(), OciError> {
        let from = bundle.join("config.json");
        fs::copy(&from, self.path.join("config.json"))
            .map(drop)
            .map_err(OciError::file("copy", from))
    }

    /// A name for the gate that fits a socket address whatever the folder is called; good while the descriptor is open.
    pub(super) fn gate(&self) -> Result<(OwnedFd, PathBuf), OciError> {
        let folder = rustix::fs::open(&self.path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| OciError::file("open", &self.path)(errno.into()))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/gate", folder.as_raw_fd()));
        Ok((folder, path))
    }

    /// Takes the folder away.
    pub(super) fn remove(&self) -> Result<(), OciError> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(OciError::file("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// Reads a `config.json`.
pub(super) fn read_spec(path: &Path) -> Result<Spec, OciError> {
    let bytes = fs::read(path).map_err(OciError::file("read", path))?;
    serde_json::from_slice(&bytes).map_err(|source| OciError::Json {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file so that readers see the old or the new content.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), OciError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let written = File::create(&fresh)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&fresh, path));
    written.map_err(OciError::file("write", path))
}
