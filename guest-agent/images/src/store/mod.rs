//! The store: every image, its names, documents and layers beneath one directory.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::digest::{DiffId, Digest};
use crate::error::Error;
use crate::image::{
    Filters, HeldBy, HistoryLine, Image, Loaded, NewImage, Pruned, Pulled, RemoveOptions, Removed, Summary,
};
use crate::platform::Platform;
use crate::progress::{Progress, Pushed};
use crate::reference::Reference;
use crate::registry::Credentials;

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
pub struct Store(Arc<Inner>);

struct Inner {}

/// Keeps an image's layers where they are; dropping it lets go.
pub struct Hold {
    layers: Vec<DiffId>,
}

impl Hold {
    /// What is held.
    pub fn layers(&self) -> &[DiffId] {
        &self.layers
    }
}

fn not_yet<T>() -> Result<T, Error> {
    Err(Error::Interrupted("not implemented yet".into()))
}

impl Store {
    /// Opens the store beneath `root` (`<root>/blobs`, `<root>/layers`, `<root>/images.db`), making it if need be.
    /// What an interrupted pull left half done is thrown away.
    pub fn open(root: &Path, settings: Settings) -> Result<Self, Error> {
        let _ = (root, settings);
        not_yet()
    }

    /// Deletes what nothing refers to and nobody holds. Call it once the containers hold their images again.
    pub fn sweep(&self) -> Result<(), Error> {
        not_yet()
    }

    /// The image by that name, digest, id or unambiguous prefix of an id.
    pub fn find(&self, name: &str) -> Result<Image, Error> {
        Err(Error::NoSuchImage(name.into()))
    }

    /// Keeps an image's layers from being removed for as long as the answer lives. Also finds images that were
    /// removed while held.
    pub fn hold(&self, image: &Digest) -> Result<Hold, Error> {
        Err(Error::NoSuchImage(image.to_string()))
    }

    /// All images that match, newest first. `all` shows untagged parents too.
    pub fn list(&self, filters: &Filters, all: bool) -> Result<Vec<Summary>, Error> {
        let _ = (filters, all);
        not_yet()
    }

    /// Bytes of all layers, each counted once.
    pub fn layers_size(&self) -> u64 {
        0
    }

    /// How an image was made, newest first.
    pub fn history(&self, name: &str) -> Result<Vec<HistoryLine>, Error> {
        Err(Error::NoSuchImage(name.into()))
    }

    /// Gives an image a further name.
    pub fn tag(&self, name: &str, reference: &Reference) -> Result<Image, Error> {
        let _ = reference;
        Err(Error::NoSuchImage(name.into()))
    }

    /// Removes a name, and the image with its last one.
    pub fn remove(
        &self,
        name: &str,
        options: RemoveOptions,
        held: &dyn Fn(&Digest) -> Option<HeldBy>,
    ) -> Result<Vec<Removed>, Error> {
        let _ = (options, held);
        Err(Error::NoSuchImage(name.into()))
    }

    /// Removes images no container uses: untagged ones, or all with the filter `dangling=false`.
    pub fn prune(&self, filters: &Filters, held: &dyn Fn(&Digest) -> Option<HeldBy>) -> Result<Pruned, Error> {
        let _ = (filters, held);
        not_yet()
    }

    /// Fetches an image. Dropping the future stops it.
    pub async fn pull(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        credentials: Option<&Credentials>,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Pulled, Error> {
        let _ = (reference, platform, credentials, progress);
        not_yet()
    }

    /// Sends an image. Dropping the future stops it.
    pub async fn push(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Pushed, Error> {
        let _ = (reference, credentials, progress);
        not_yet()
    }

    /// Loads the images of an archive: `docker save`'s or an OCI layout, compressed or not.
    pub fn load(&self, archive: impl Read, progress: impl Fn(Progress)) -> Result<Vec<Loaded>, Error> {
        let _ = (archive, progress);
        not_yet()
    }

    /// Writes images as one archive that is both `docker save`'s and an OCI layout.
    pub fn save(&self, names: &[String], to: impl Write) -> Result<(), Error> {
        let _ = (names, to);
        not_yet()
    }

    /// Makes an image of one layer from a tar, compressed or not.
    pub fn import(&self, tar: impl Read, new: NewImage) -> Result<Image, Error> {
        let _ = (tar, new);
        not_yet()
    }

    /// Makes an image of a container's upper directory on top of its image.
    pub fn commit(&self, upper: &Path, new: NewImage) -> Result<Image, Error> {
        let _ = (upper, new);
        not_yet()
    }

    /// Loads an archive that is part of the program, unless its image is here already.
    pub fn seed_embedded(&self, archive: &[u8]) -> Result<Image, Error> {
        let _ = archive;
        not_yet()
    }
}
