//! An image in the store: its documents, its names, and the directories a container's root is made of.

use std::path::PathBuf;
use std::sync::Arc;

use crate::digest::{DiffId, Digest};
use crate::documents::ImageConfig;
use crate::reference::Reference;

/// One image of the store, as it was when asked for; cheap to clone.
#[derive(Clone, Debug)]
pub struct Image {
    pub(crate) record: Arc<Record>,
    pub(crate) tags: Vec<Reference>,
    pub(crate) digests: Vec<Reference>,
}

/// What of an image never changes.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: Digest,
    pub(crate) config: ImageConfig,
    pub(crate) raw_config: Vec<u8>,
    pub(crate) manifest: Option<Digest>,
    pub(crate) lowers: Vec<PathBuf>,
    pub(crate) size: u64,
    pub(crate) parent: Option<Digest>,
    pub(crate) tagged_at: i64,
}

impl Image {
    /// The digest of its configuration.
    pub fn id(&self) -> &Digest {
        &self.record.id
    }

    /// Its configuration.
    pub fn config(&self) -> &ImageConfig {
        &self.record.config
    }

    /// Its configuration, byte for byte.
    pub fn raw_config(&self) -> &[u8] {
        &self.record.raw_config
    }

    /// The manifest it was pulled or loaded with, if it was.
    pub fn manifest(&self) -> Option<&Digest> {
        self.record.manifest.as_ref()
    }

    /// Its layers, bottom first.
    pub fn layers(&self) -> &[DiffId] {
        &self.record.config.rootfs.diff_ids
    }

    /// The directories of an overlay root, **top first**; never empty. They stay as long as somebody holds the
    /// image (see [`crate::Store::hold`]).
    pub fn lowers(&self) -> &[PathBuf] {
        &self.record.lowers
    }

    /// Bytes of all its layers' files.
    pub fn size(&self) -> u64 {
        self.record.size
    }

    /// The image it was made from here, if it was.
    pub fn parent(&self) -> Option<&Digest> {
        self.record.parent.as_ref()
    }

    /// When it was last tagged here, in nanoseconds since 1970.
    pub fn tagged_at(&self) -> i64 {
        self.record.tagged_at
    }

    /// Seconds since 1970 of its making; 0 if it does not say.
    pub fn created(&self) -> i64 {
        self.record
            .config
            .created
            .parse::<jiff::Timestamp>()
            .map_or(0, jiff::Timestamp::as_second)
    }

    /// Its tags (`RepoTags` are their [`Reference::familiar`] form).
    pub fn tags(&self) -> &[Reference] {
        &self.tags
    }

    /// Its digests by repository (`RepoDigests`).
    pub fn digests(&self) -> &[Reference] {
        &self.digests
    }
}

/// One line of `docker history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine {
    /// The image, on the newest line and where a parent is here; Docker shows `<missing>` otherwise.
    pub id: Option<Digest>,
    /// Seconds since 1970.
    pub created: i64,
    /// The instruction.
    pub created_by: String,
    /// Names of that image.
    pub tags: Vec<Reference>,
    /// Bytes of its layer.
    pub size: u64,
    /// Note.
    pub comment: String,
}

/// One thing that a removal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name no longer points here.
    Untagged {
        /// The name, in short form.
        reference: Reference,
        /// What it named.
        image: Digest,
    },
    /// An image is gone.
    Deleted(Digest),
    /// With it a layer, by its chain id.
    DeletedLayer(Digest),
}

/// A container that keeps an image from being removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBy {
    /// Its id.
    pub container: String,
    /// A running one holds even against force.
    pub running: bool,
}

/// How [`crate::Store::remove`] goes about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Also with several names, or held by a container that does not run.
    pub force: bool,
    /// Leave untagged parents alone.
    pub keep_parents: bool,
}

/// What [`crate::Store::list`] is to show. Keys are Docker's: `dangling`, `label`, `label!`, `before`, `since`,
/// `until`, `reference`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(pub Vec<(String, String)>);

/// One image in a list.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The image, with the names that matched.
    pub image: Image,
    /// Bytes it shares with other images.
    pub shared_size: u64,
}

/// What a prune did.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    /// In order.
    pub removed: Vec<Removed>,
    /// Bytes given back.
    pub reclaimed: u64,
}

/// What a pull did.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The image.
    pub image: Image,
    /// The digest it was pulled by: the index's, if there was one.
    pub digest: Digest,
    /// Whether anything changed here.
    pub newer: bool,
}

/// What a load brought.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The image.
    pub image: Image,
    /// The names it was given; none means `Loaded image ID: sha256:…`.
    pub tags: Vec<Reference>,
}

/// What to make of a tar that is imported, or of a container that is committed.
#[derive(Clone, Debug, Default)]
pub struct NewImage {
    /// Its name, if any.
    pub reference: Option<Reference>,
    /// The configuration it starts from; its `rootfs` and `history` are continued.
    pub base: ImageConfig,
    /// The image below, if any.
    pub parent: Option<Digest>,
    /// For `history`.
    pub created_by: String,
    /// For `history` and the configuration.
    pub comment: String,
    /// For `history` and the configuration.
    pub author: String,
}
