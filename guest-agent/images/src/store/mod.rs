//! The store: every image, its names, documents and layers beneath one directory.
//!
//! ```text
//! images.db          which images, names and layers there are
//! blobs/sha256/…     configurations and manifests by digest; layers are kept unpacked only
//! layers/<diff id>/  one layer each, independent of the layers beneath it
//! fixups/<chain id>/ what layers only imply, settled for one stack
//! incoming/ trash/   half-made and removed things; emptied when the store is opened
//! ```
//! Compressed layers are not kept: a layer's exact tar is made again from its files when it is saved or pushed.

mod find;
mod hold;
mod index;
mod list;
mod open;
mod record;
mod remove;
mod state;
mod sync;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

pub use hold::Hold;
pub(crate) use index::BlobRow;
pub(crate) use record::NewRecord;
pub(crate) use state::{State, blob_path, layer_dir};

use crate::pull::Jobs;
use crate::registry::Endpoints;

/// What the operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Registries (`host`, `host:port` or an address range) that may be spoken to without TLS or with a certificate
    /// nobody vouches for. Loopback always may.
    pub insecure: Vec<String>,
    /// Mirrors of Docker Hub, as URLs, tried first and in order.
    pub mirrors: Vec<String>,
    /// Folders with one folder per registry of `*.crt`, `*.cert` and `*.key`.
    pub certificates: Vec<PathBuf>,
    /// Layers that are fetched at the same time.
    pub parallel: usize,
    /// A transfer that brings nothing for so long is broken.
    pub stall: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            insecure: Vec::new(),
            mirrors: Vec::new(),
            certificates: vec!["/etc/proa/certs.d".into(), "/etc/docker/certs.d".into()],
            parallel: 6,
            stall: Duration::from_secs(30),
        }
    }
}

/// Where images live; cheap to clone.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) endpoints: Endpoints,
    /// This boot of the machine; see [`index`].
    pub(crate) boot: String,
    state: Mutex<State>,
    pub(crate) jobs: Jobs,
    /// Layers being fetched.
    pub(crate) permits: Semaphore,
    sync: sync::Syncing,
    /// Keeps a second process out.
    _lock: std::fs::File,
}

impl Store {
    /// The lock is only poisoned by a panic in between two steps that each leave the state sound.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0.root
    }

    pub(crate) fn incoming(&self) -> PathBuf {
        self.0.root.join("incoming")
    }
}
