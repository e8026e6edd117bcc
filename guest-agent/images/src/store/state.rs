//! What the store knows, in memory: images by id, names, layers, and who needs them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::{ImageRow, Index, LayerRow};
use crate::digest::{ChainId, DiffId, Digest};
use crate::documents::ImageConfig;
use crate::error::Error;
use crate::image::{Image, Record};
use crate::reference::Reference;

/// Everything behind the store's one lock.
pub(crate) struct State {
    pub(crate) index: Index,
    pub(crate) images: HashMap<Digest, Known>,
    pub(crate) tags: BTreeMap<(String, String), Digest>,
    pub(crate) digests: BTreeMap<(String, Digest), Digest>,
    pub(crate) layers: HashMap<DiffId, LayerRow>,
    /// Pulls and containers that need a layer, whether or not it is there yet.
    pub(crate) leases: HashMap<DiffId, usize>,
    /// Containers that need an image.
    pub(crate) holds: HashMap<Digest, usize>,
}

/// One image.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) record: Arc<Record>,
    pub(crate) row: ImageRow,
}

impl State {
    /// The image as a value, with the names it has now.
    pub(crate) fn image(&self, id: &Digest) -> Option<Image> {
        let known = self.images.get(id)?;
        Some(Image {
            record: Arc::clone(&known.record),
            tags: self.tags_of(id),
            digests: self.digests_of(id),
        })
    }

    pub(crate) fn tags_of(&self, id: &Digest) -> Vec<Reference> {
        let named = self.tags.iter().filter(|(_, image)| *image == id);
        named
            .filter_map(|((name, tag), _)| Reference::parse(&format!("{name}:{tag}")).ok())
            .collect()
    }

    pub(crate) fn digests_of(&self, id: &Digest) -> Vec<Reference> {
        let named = self.digests.iter().filter(|(_, image)| *image == id);
        named
            .filter_map(|((name, digest), _)| Reference::parse(&format!("{name}@{digest}")).ok())
            .collect()
    }

    /// Images that users see.
    pub(crate) fn visible(&self) -> impl Iterator<Item = &Known> {
        self.images.values().filter(|known| !known.row.hidden)
    }

    pub(crate) fn children_of(&self, id: &Digest) -> usize {
        self.visible()
            .filter(|known| known.row.parent.as_ref() == Some(id))
            .count()
    }

    /// Layers that neither an image nor a lease needs.
    pub(crate) fn unneeded_layers(&self) -> Vec<DiffId> {
        let needed: HashSet<&DiffId> = self
            .images
            .values()
            .flat_map(|known| &known.record.config.rootfs.diff_ids)
            .collect();
        let free = |diff: &&DiffId| !needed.contains(diff) && !self.leases.contains_key(diff);
        self.layers.keys().filter(free).cloned().collect()
    }

    /// Blobs that images need.
    pub(crate) fn needed_blobs(&self) -> HashSet<Digest> {
        let of = |known: &Known| [Some(known.row.id.clone()), known.row.manifest.clone()];
        self.images.values().flat_map(of).flatten().collect()
    }

    /// Fix-up directories that images need.
    pub(crate) fn needed_fixups(&self) -> BTreeSet<String> {
        let with = self.images.values().filter(|known| known.row.fixup);
        with.filter_map(|known| fixup_name(&known.record.config.rootfs.diff_ids))
            .collect()
    }
}

/// The name of the fix-up directory of a stack.
pub(crate) fn fixup_name(layers: &[DiffId]) -> Option<String> {
    ChainId::of(layers).map(|chain| chain.0.hex().to_owned())
}

/// The folders of a stack's layers, bottom first. A layer that comes twice counts where it is highest: everything in
/// it hides itself beneath, and overlay refuses a directory given twice.
pub(crate) fn stack(root: &Path, layers: &[DiffId]) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let mut stack: Vec<PathBuf> = layers
        .iter()
        .rev()
        .filter(|diff| seen.insert(*diff))
        .map(|diff| layer_dir(root, diff))
        .collect();
    stack.reverse();
    stack
}

pub(crate) fn layer_dir(root: &Path, diff: &DiffId) -> PathBuf {
    root.join("layers").join(diff.0.hex())
}

pub(crate) fn blob_path(root: &Path, digest: &Digest) -> PathBuf {
    root.join("blobs/sha256").join(digest.hex())
}

/// Puts a record together from its row and what is on disk.
pub(crate) fn record(
    root: &Path,
    row: &ImageRow,
    raw_config: Vec<u8>,
    layers: &HashMap<DiffId, LayerRow>,
) -> Result<Record, Error> {
    let config: ImageConfig = serde_json::from_slice(&raw_config).map_err(|error| {
        Error::Malformed(format!(
            "the configuration of image {} is malformed: {error}",
            row.id
        ))
    })?;
    let diffs = &config.rootfs.diff_ids;
    let mut lowers: Vec<PathBuf> = stack(root, diffs)
        .into_iter()
        .map(|layer| layer.join("fs"))
        .collect();
    if row.fixup
        && let Some(name) = fixup_name(diffs)
    {
        lowers.push(root.join("fixups").join(name));
    }
    lowers.reverse();
    if lowers.is_empty() {
        lowers.push(root.join("empty"));
    }
    let size = diffs
        .iter()
        .filter_map(|diff| layers.get(diff))
        .map(|layer| layer.size)
        .sum();
    Ok(Record {
        id: row.id.clone(),
        config,
        raw_config,
        manifest: row.manifest.clone(),
        lowers,
        size,
        parent: row.parent.clone(),
        tagged_at: row.tagged_at,
    })
}
