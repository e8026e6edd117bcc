//! Durability without stalls: content is synced in the background, removed things are deleted there.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use proa_kernel::remove::remove_tree;

use super::{Store, index};
use crate::error::{At, Error};

/// Time for one sync to serve several pulls, and for the work that follows a pull to go first.
const DELAY: Duration = Duration::from_secs(2);

/// Whether a sync is on its way.
#[derive(Default)]
pub(crate) struct Syncing(AtomicBool);

impl Store {
    /// Brings everything written until now to disk, some time soon.
    pub(crate) fn sync_soon(&self) {
        if self.0.sync.0.swap(true, Ordering::AcqRel) {
            return;
        }
        // The thread holds no strong reference while it sleeps: a store that is dropped is closed at once.
        let store = std::sync::Arc::downgrade(&self.0);
        let spawned = thread::Builder::new()
            .name("sync".into())
            .stack_size(256 << 10)
            .spawn(move || {
                thread::sleep(DELAY);
                let Some(inner) = store.upgrade() else { return };
                let store = Store(inner);
                store.0.sync.0.store(false, Ordering::Release);
                if let Err(error) = store.sync() {
                    tracing::warn!(%error, "the store could not be synced");
                }
            });
        if spawned.is_err() {
            self.0.sync.0.store(false, Ordering::Release);
        }
    }

    /// Brings everything written until now to disk, and notes that.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let (images, layers): (Vec<_>, Vec<_>) = {
            let state = self.state();
            let images = state
                .images
                .values()
                .filter(|known| known.row.boot.is_some());
            let layers = state.layers.values().filter(|layer| layer.boot.is_some());
            (
                images.map(|known| known.row.id.clone()).collect(),
                layers.map(|layer| layer.diff.clone()).collect(),
            )
        };
        if images.is_empty() && layers.is_empty() {
            return Ok(());
        }
        let root = fs::File::open(self.root()).at("open", self.root())?;
        rustix::fs::syncfs(&root).at("sync", self.root())?;
        let mut state = self.state();
        state.index.change("note what is on disk", |db| {
            index::mark_synced(db, &images, &layers)
        })?;
        for id in &images {
            if let Some(known) = state.images.get_mut(id) {
                known.row.boot = None;
            }
        }
        for diff in &layers {
            if let Some(layer) = state.layers.get_mut(diff) {
                layer.boot = None;
            }
        }
        Ok(())
    }

    /// Deletes what was moved to the trash, on a thread of its own.
    pub(crate) fn empty_trash(&self) {
        let trash = self.root().join("trash");
        let spawned = thread::Builder::new().name("trash".into()).stack_size(256 << 10).spawn(move || {
            for entry in fs::read_dir(trash).into_iter().flatten().filter_map(Result::ok) {
                if let Err(error) = remove_tree(&entry.path()) {
                    tracing::warn!(path = %entry.path().display(), %error, "could not delete from the trash");
                }
            }
        });
        drop(spawned);
    }
}
