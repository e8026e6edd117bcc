//! Removing names and images, by Docker's rules and in its words.

use std::collections::BTreeSet;
use std::fs;

use super::find::{find, named};
use super::{State, Store, blob_path, index, layer_dir};
use crate::digest::{ChainId, Digest};
use crate::error::Error;
use crate::image::{Filters, HeldBy, Pruned, RemoveOptions, Removed};
use crate::reference::Reference;

/// Who holds an image.
type Held<'a> = &'a dyn Fn(&Digest) -> Option<HeldBy>;

impl Store {
    /// Removes a name, and the image with its last one. `held` names a container that uses an image, a running one
    /// rather than another.
    pub fn remove(
        &self,
        name: &str,
        options: RemoveOptions,
        held: Held<'_>,
    ) -> Result<Vec<Removed>, Error> {
        let mut state = self.state();
        let id = find(&state, name)?;
        let mut removal = Removal {
            store: self,
            state: &mut state,
            held,
            done: Vec::new(),
        };
        removal.remove(name, &id, options)?;
        let done = removal.done;
        drop(state);
        self.empty_trash();
        Ok(done)
    }

    /// Removes images no container uses: untagged ones, or all with the filter `dangling=false`. Filters: `dangling`,
    /// `label`, `label!`, `until`.
    pub fn prune(&self, filters: &Filters, held: Held<'_>) -> Result<Pruned, Error> {
        let dangling = filters.dangling()?.unwrap_or(true);
        let before = self.layers_size();
        let mut pruned = Pruned::default();
        for summary in self.list(&filters.without("dangling"), true)? {
            let image = summary.image;
            let named = !image.tags().is_empty() || !image.digests().is_empty();
            if held(image.id()).is_some() || (dangling && !image.tags().is_empty()) {
                continue;
            }
            let names: Vec<String> = if named {
                image
                    .tags()
                    .iter()
                    .chain(image.digests())
                    .map(Reference::familiar)
                    .collect()
            } else {
                vec![image.id().to_string()]
            };
            for name in names {
                match self.remove(&name, RemoveOptions::default(), held) {
                    Ok(removed) => pruned.removed.extend(removed),
                    // Gone with an earlier name, or needed by another image.
                    Err(Error::Conflict(_) | Error::NoSuchImage(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.sweep_unneeded()?;
        pruned.reclaimed = before.saturating_sub(self.layers_size());
        Ok(pruned)
    }

    /// Deletes what nothing refers to and nobody holds. Call it once the containers hold their images again.
    pub fn sweep(&self) -> Result<(), Error> {
        let mut state = self.state();
        let hidden: Vec<Digest> = state
            .images
            .values()
            .filter(|known| known.row.hidden && !state.holds.contains_key(&known.row.id))
            .map(|known| known.row.id.clone())
            .collect();
        self.discard(&mut state, &hidden)?;
        drop(state);
        self.sweep_unneeded()
    }

    /// Deletes layers, documents and fix-ups that no image and no operation needs.
    fn sweep_unneeded(&self) -> Result<(), Error> {
        let mut state = self.state();
        self.discard(&mut state, &[])?;
        let layers: BTreeSet<String> = state
            .layers
            .keys()
            .map(|diff| diff.0.hex().to_owned())
            .collect();
        let blobs: BTreeSet<String> = state
            .needed_blobs()
            .iter()
            .map(|digest| digest.hex().to_owned())
            .collect();
        let fixups = state.needed_fixups();
        // Pulls write documents and fix-ups before they record their image.
        if state.leases.is_empty() {
            for (folder, needed) in [
                ("layers", &layers),
                ("blobs/sha256", &blobs),
                ("fixups", &fixups),
            ] {
                let entries = fs::read_dir(self.root().join(folder))
                    .into_iter()
                    .flatten()
                    .filter_map(Result::ok);
                for entry in entries.filter(|entry| {
                    !entry
                        .file_name()
                        .to_str()
                        .is_some_and(|n| needed.contains(n))
                }) {
                    self.trash(&entry.path())?;
                }
            }
        }
        drop(state);
        self.empty_trash();
        Ok(())
    }

    /// Deletes images, and then the layers nobody needs any more. The index forgets first.
    pub(crate) fn discard(
        &self,
        state: &mut State,
        images: &[Digest],
    ) -> Result<Vec<Digest>, Error> {
        let gone: Vec<_> = images
            .iter()
            .filter_map(|id| state.images.remove(id))
            .collect();
        let layers = state.unneeded_layers();
        if gone.is_empty() && layers.is_empty() {
            return Ok(Vec::new());
        }
        state.index.change("remove images", |db| {
            images.iter().try_for_each(|id| index::drop_image(db, id))?;
            layers
                .iter()
                .try_for_each(|diff| index::drop_layer(db, diff))
        })?;
        state.tags.retain(|_, image| !images.contains(image));
        state.digests.retain(|_, image| !images.contains(image));
        for diff in &layers {
            state.layers.remove(diff);
            self.trash(&layer_dir(self.root(), diff))?;
        }
        let (blobs, fixups) = (state.needed_blobs(), state.needed_fixups());
        let mut chains = Vec::new();
        for known in gone {
            for digest in [Some(known.row.id), known.row.manifest]
                .into_iter()
                .flatten()
            {
                if !blobs.contains(&digest) {
                    drop(fs::remove_file(blob_path(self.root(), &digest)));
                }
            }
            let diffs = &known.record.config.rootfs.diff_ids;
            if let Some(ChainId(chain)) = ChainId::of(diffs) {
                let fixup = self.root().join("fixups").join(chain.hex());
                if known.row.fixup && !fixups.contains(chain.hex()) && fixup.exists() {
                    self.trash(&fixup)?;
                }
            }
            let removed = (1..=diffs.len())
                .rev()
                .filter(|at| layers.contains(&diffs[at - 1]));
            chains.extend(
                removed
                    .filter_map(|at| ChainId::of(&diffs[..at]))
                    .map(|chain| chain.0),
            );
        }
        Ok(chains)
    }
}

/// One removal under the store's lock.
struct Removal<'a> {
    store: &'a Store,
    state: &'a mut State,
    held: Held<'a>,
    done: Vec<Removed>,
}

impl Removal<'_> {
    fn remove(&mut self, name: &str, id: &Digest, options: RemoveOptions) -> Result<(), Error> {
        let by_id = id.as_str().starts_with(name) || id.hex().starts_with(name);
        let reference = Reference::parse(name).ok().map(Reference::or_latest);
        let reference = reference
            .filter(|reference| !by_id && named(self.state, reference).as_ref() == Some(id));
        let by_name = reference.is_some();
        match reference {
            Some(reference) => {
                if !options.force && self.has_single_name(id) {
                    self.refuse_if_used(name, id)?;
                }
                self.untag(&reference, id)?;
                self.untag_digests_of(&reference, id)?;
                if !self.names(id).is_empty() {
                    return Ok(());
                }
            }
            None => {
                if self.has_single_name(id) {
                    self.check(id, options.force, false)?;
                    for name in self.names(id) {
                        self.untag(&name, id)?;
                    }
                }
            }
        }
        self.delete(id, options.force, !options.keep_parents, by_name)
    }

    fn names(&self, id: &Digest) -> Vec<Reference> {
        let mut names = self.state.tags_of(id);
        names.extend(self.state.digests_of(id));
        names
    }

    /// At most one tag, and all names in one repository.
    fn has_single_name(&self, id: &Digest) -> bool {
        let repositories: BTreeSet<String> = self.names(id).iter().map(Reference::name).collect();
        self.state.tags_of(id).len() <= 1 && repositories.len() <= 1
    }

    fn refuse_if_used(&self, name: &str, id: &Digest) -> Result<(), Error> {
        let Some(by) = (self.held)(id) else {
            return Ok(());
        };
        Err(Error::Conflict(format!(
            "conflict: unable to remove repository reference {name:?} (must force) - container {} is using its \
             referenced image {}",
            short(&by.container),
            id.short()
        )))
    }

    fn untag(&mut self, name: &Reference, id: &Digest) -> Result<(), Error> {
        self.state
            .index
            .change("untag an image", |db| match (name.digest(), name.tag()) {
                (Some(digest), _) => index::drop_digest(db, &name.name(), digest),
                (None, tag) => index::drop_tag(db, &name.name(), tag.unwrap_or("latest")),
            })?;
        match (name.digest(), name.tag()) {
            (Some(digest), _) => self.state.digests.remove(&(name.name(), digest.clone())),
            (None, tag) => self
                .state
                .tags
                .remove(&(name.name(), tag.unwrap_or("latest").to_owned())),
        };
        self.done.push(Removed::Untagged {
            reference: name.clone(),
            image: id.clone(),
        });
        Ok(())
    }

    /// With a repository's last tag its digests go too.
    fn untag_digests_of(&mut self, name: &Reference, id: &Digest) -> Result<(), Error> {
        let repository = name.name();
        if name.digest().is_some()
            || self
                .state
                .tags_of(id)
                .iter()
                .any(|tag| tag.name() == repository)
        {
            return Ok(());
        }
        for digest in self
            .state
            .digests_of(id)
            .into_iter()
            .filter(|digest| digest.name() == repository)
        {
            self.untag(&digest, id)?;
        }
        Ok(())
    }

    /// What speaks against removing an image: hard reasons always, soft ones unless forced.
    fn check(&self, id: &Digest, force: bool, names_count: bool) -> Result<(), Error> {
        let conflict = |hard: bool, why: String| {
            let force = if hard {
                "cannot be forced"
            } else {
                "must be forced"
            };
            Err(Error::Conflict(format!(
                "conflict: unable to delete {} ({force}) - {why}",
                id.short()
            )))
        };
        if self.state.children_of(id) > 0 {
            return conflict(true, "image has dependent child images".into());
        }
        let by = (self.held)(id);
        if let Some(by) = by.as_ref().filter(|by| by.running) {
            return conflict(
                true,
                format!(
                    "image is being used by running container {}",
                    short(&by.container)
                ),
            );
        }
        if force {
            return Ok(());
        }
        if names_count && !self.names(id).is_empty() {
            return conflict(false, "image is referenced in multiple repositories".into());
        }
        match by {
            Some(by) => conflict(
                false,
                format!(
                    "image is being used by stopped container {}",
                    short(&by.container)
                ),
            ),
            None => Ok(()),
        }
    }

    fn delete(
        &mut self,
        id: &Digest,
        force: bool,
        parents: bool,
        quiet: bool,
    ) -> Result<(), Error> {
        if let Err(conflict) = self.check(id, force, true) {
            let used = (self.held)(id).is_some();
            return if quiet
                && (used || !self.names(id).is_empty() || self.state.children_of(id) > 0)
            {
                Ok(())
            } else {
                Err(conflict)
            };
        }
        for name in self.names(id) {
            self.untag(&name, id)?;
        }
        let parent = self
            .state
            .images
            .get(id)
            .and_then(|known| known.row.parent.clone());
        self.done.push(Removed::Deleted(id.clone()));
        if self.state.holds.contains_key(id) {
            self.hide(id)?;
        } else {
            let layers = self.store.discard(self.state, std::slice::from_ref(id))?;
            self.done
                .extend(layers.into_iter().map(Removed::DeletedLayer));
        }
        match parent.filter(|parent| parents && self.state.images.contains_key(parent)) {
            Some(parent) => self.delete(&parent, false, true, true),
            None => Ok(()),
        }
    }

    /// The image is gone for users, its layers stay until the last container that has them goes.
    fn hide(&mut self, id: &Digest) -> Result<(), Error> {
        let Some(known) = self.state.images.get_mut(id) else {
            return Ok(());
        };
        known.row.hidden = true;
        let row = known.row.clone();
        self.state
            .index
            .change("remove an image", |db| index::put_image(db, &row))
    }
}

fn short(container: &str) -> &str {
    container.get(..12).unwrap_or(container)
}
