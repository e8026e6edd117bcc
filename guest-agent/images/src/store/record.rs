//! Recording: layers and images become part of the store, in one step each.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::index::{self, BlobRow, ImageRow, LayerRow};
use super::state::{Known, State, fixup_name, record, stack};
use super::{Store, blob_path, find, layer_dir};
use crate::digest::{DiffId, Digest};
use crate::error::{At, Error};
use crate::image::Image;
use crate::layer::{self, Received};
use crate::reference::Reference;

/// An image to record. Its layers are in the store and leased.
pub(crate) struct NewRecord<'a> {
    pub(crate) config: &'a [u8],
    pub(crate) manifest: Option<&'a [u8]>,
    pub(crate) parent: Option<Digest>,
    /// A tag or a digest each.
    pub(crate) names: &'a [Reference],
}

impl Store {
    /// Whether a layer is here.
    pub(crate) fn has_layer(&self, diff: &DiffId) -> bool {
        self.state().layers.contains_key(diff)
    }

    /// Makes a layer that came whole part of the store. The caller has a lease on it.
    pub(crate) fn adopt(&self, received: Received, blob: Option<BlobRow>) -> Result<DiffId, Error> {
        let Received {
            dir,
            diff,
            size,
            tar_size,
            ..
        } = received;
        let row = LayerRow {
            diff: diff.clone(),
            size,
            tar_size,
            boot: Some(self.0.boot.clone()),
        };
        let mut state = self.state();
        if !state.layers.contains_key(&diff) {
            let to = layer_dir(self.root(), &diff);
            // What an earlier run left without recording it is in the way.
            if to.exists() {
                self.trash(&to)?;
            }
            fs::rename(dir.path(), &to).at("adopt", &to)?;
            // The directory has moved, there is nothing left for its guard to remove.
            drop(dir.keep());
            let recorded = state
                .index
                .change_soon("record a layer", |db| index::put_layer(db, &row));
            if let Err(error) = recorded {
                drop(self.trash(&to));
                return Err(error);
            }
            state.layers.insert(diff.clone(), row);
        }
        if let Some(blob) = blob {
            state
                .index
                .change_soon("record a blob", |db| index::put_blob(db, &blob))?;
        }
        Ok(diff)
    }

    /// Remembers that a layer is on a registry as this blob.
    pub(crate) fn remember_blob(&self, blob: &BlobRow) -> Result<(), Error> {
        self.state()
            .index
            .change_soon("record a blob", |db| index::put_blob(db, blob))
    }

    /// Records an image. Says also whether that changed anything.
    pub(crate) fn record(&self, new: &NewRecord<'_>) -> Result<(Image, bool), Error> {
        let id = Digest::of(new.config);
        let manifest = new.manifest.map(Digest::of);
        self.write_blob(&id, new.config)?;
        if let (Some(digest), Some(bytes)) = (&manifest, new.manifest) {
            self.write_blob(digest, bytes)?;
        }
        let mut row = ImageRow {
            id: id.clone(),
            manifest,
            parent: new.parent.clone(),
            tagged_at: now(),
            fixup: false,
            hidden: false,
            boot: Some(self.0.boot.clone()),
        };
        let draft = record(self.root(), &row, new.config.to_vec(), &HashMap::new())?;
        row.fixup = self.settle(&draft.config.rootfs.diff_ids)?;
        let mut state = self.state();
        if let Some(missing) = draft
            .config
            .rootfs
            .diff_ids
            .iter()
            .find(|diff| !state.layers.contains_key(diff))
        {
            return Err(Error::Interrupted(format!(
                "layer {missing} is missing from the store"
            )));
        }
        let old = state.images.get(&id).cloned();
        if let Some(old) = &old {
            row.manifest = row.manifest.or_else(|| old.row.manifest.clone());
            row.parent = row.parent.or_else(|| old.row.parent.clone());
            row.boot = old.row.boot.clone().or(row.boot.filter(|_| old.row.hidden));
        }
        let record = record(self.root(), &row, new.config.to_vec(), &state.layers)?;
        let changed = old.as_ref().is_none_or(|old| old.row.hidden)
            || new
                .names
                .iter()
                .any(|name| find::named(&state, name).as_ref() != Some(&id));
        state.index.change_soon("record an image", |db| {
            index::put_image(db, &row)?;
            new.names
                .iter()
                .try_for_each(|name| put_name(db, name, &id))
        })?;
        state.images.insert(
            id.clone(),
            Known {
                record: Arc::new(record),
                row,
            },
        );
        new.names
            .iter()
            .for_each(|name| insert_name(&mut state, name, &id));
        let image = state
            .image(&id)
            .ok_or_else(|| Error::NoSuchImage(id.to_string()))?;
        drop(state);
        self.sync_soon();
        Ok((image, changed))
    }

    /// Gives an image a further name.
    pub fn tag(&self, name: &str, reference: &Reference) -> Result<Image, Error> {
        if reference.digest().is_some() {
            return Err(Error::BadParameter(
                "refusing to create a tag with a digest reference".into(),
            ));
        }
        let reference = reference.clone().or_latest();
        let mut state = self.state();
        let id = find::find(&state, name)?;
        let mut row = state
            .images
            .get(&id)
            .ok_or_else(|| Error::NoSuchImage(name.into()))?
            .row
            .clone();
        row.tagged_at = now();
        state.index.change("tag an image", |db| {
            index::put_image(db, &row)?;
            put_name(db, &reference, &id)
        })?;
        let record = record(
            self.root(),
            &row,
            state.images[&id].record.raw_config.clone(),
            &state.layers,
        )?;
        state.images.insert(
            id.clone(),
            Known {
                record: Arc::new(record),
                row,
            },
        );
        insert_name(&mut state, &reference, &id);
        state
            .image(&id)
            .ok_or_else(|| Error::NoSuchImage(name.into()))
    }

    /// Notes that an image is on a registry under this digest.
    pub(crate) fn note_digest(&self, name: &Reference, id: &Digest) -> Result<(), Error> {
        let mut state = self.state();
        state
            .index
            .change("note a digest", |db| put_name(db, name, id))?;
        insert_name(&mut state, name, id);
        Ok(())
    }

    /// Makes the fix-up directory of a stack; `false` if it needs none.
    fn settle(&self, layers: &[DiffId]) -> Result<bool, Error> {
        let Some(name) = fixup_name(layers).filter(|_| layers.len() > 1) else {
            return Ok(false);
        };
        let to = self.root().join("fixups").join(name);
        if to.is_dir() {
            return Ok(true);
        }
        let incoming = self.incoming();
        let made = tempfile::Builder::new()
            .prefix("fixup-")
            .permissions(open_to_all())
            .tempdir_in(&incoming);
        let made = layer::Incoming::new(made.at("create a folder in", &incoming)?);
        if !layer::settle(&stack(self.root(), layers), made.path())
            .at("settle the layers' links and folders in", &to)?
        {
            return Ok(false);
        }
        match fs::rename(made.path(), &to) {
            Ok(()) => drop(made.keep()),
            // Another pull of the same image was quicker.
            Err(_) if to.is_dir() => {}
            Err(error) => return Err(error).at("adopt", &to),
        }
        Ok(true)
    }

    /// Writes a document under its digest.
    fn write_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        let to = blob_path(self.root(), digest);
        if to.exists() {
            return Ok(());
        }
        let incoming = self.incoming();
        let file = tempfile::NamedTempFile::new_in(&incoming).at("create a file in", &incoming)?;
        fs::write(file.path(), bytes).at("write", file.path())?;
        file.persist(&to)
            .map_err(|error| error.error)
            .at("adopt", &to)?;
        Ok(())
    }

    /// Moves something out of the way, to be deleted in the background.
    pub(crate) fn trash(&self, path: &Path) -> Result<(), Error> {
        let unique = tempfile::Builder::new()
            .prefix("gone-")
            .tempdir_in(self.root().join("trash"));
        let unique = unique
            .at("create a folder in", self.root().join("trash"))?
            .keep();
        fs::rename(path, unique.join("it")).at("remove", path)
    }
}

fn open_to_all() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}

fn put_name(db: &rusqlite::Connection, name: &Reference, id: &Digest) -> rusqlite::Result<()> {
    match (name.digest(), name.tag()) {
        (Some(digest), _) => index::put_digest(db, &name.name(), digest, id),
        (None, tag) => index::put_tag(db, &name.name(), tag.unwrap_or("latest"), id),
    }
}

fn insert_name(state: &mut State, name: &Reference, id: &Digest) {
    match (name.digest(), name.tag()) {
        (Some(digest), _) => state
            .digests
            .insert((name.name(), digest.clone()), id.clone()),
        (None, tag) => state
            .tags
            .insert((name.name(), tag.unwrap_or("latest").into()), id.clone()),
    };
}

/// Nanoseconds since 1970.
fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}
