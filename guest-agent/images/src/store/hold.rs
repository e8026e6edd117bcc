//! Who needs what: leases of pulls on layers, holds of containers on images.

use super::{State, Store};
use crate::digest::{DiffId, Digest};
use crate::error::Error;

/// Keeps layers from being removed, whether or not they are there yet. What stays unneeded when it is dropped is
/// left for the next pull or sweep.
pub(crate) struct Lease {
    store: Store,
    layers: Vec<DiffId>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        release(&mut self.store.state(), &self.layers);
    }
}

fn release(state: &mut State, layers: &[DiffId]) {
    for diff in layers {
        if let Some(count) = state.leases.get_mut(diff) {
            *count -= 1;
            if *count == 0 {
                state.leases.remove(diff);
            }
        }
    }
}

/// Keeps an image's layers where they are; dropping it lets go. An image that was removed meanwhile goes with its last
/// hold.
pub struct Hold {
    store: Store,
    image: Digest,
    layers: Vec<DiffId>,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold")
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

impl Hold {
    /// The image that is held.
    pub fn image(&self) -> &Digest {
        &self.image
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.store.state();
        release(&mut state, &self.layers);
        let left = state.holds.get_mut(&self.image).map(|count| {
            *count -= 1;
            *count
        });
        if left != Some(0) {
            return;
        }
        state.holds.remove(&self.image);
        if !state
            .images
            .get(&self.image)
            .is_some_and(|known| known.row.hidden)
        {
            return;
        }
        let discarded = self
            .store
            .discard(&mut state, std::slice::from_ref(&self.image));
        drop(state);
        match discarded {
            Ok(_) => self.store.empty_trash(),
            Err(error) => {
                tracing::warn!(image = %self.image, %error, "a removed image could not be deleted");
            }
        }
    }
}

impl Store {
    /// Keeps layers from being removed while an operation needs them.
    pub(crate) fn lease(&self, layers: &[DiffId]) -> Lease {
        let mut state = self.state();
        for diff in layers {
            *state.leases.entry(diff.clone()).or_default() += 1;
        }
        Lease {
            store: self.clone(),
            layers: layers.to_vec(),
        }
    }

    /// Keeps an image's layers from being removed for as long as the answer lives. Also finds images that were
    /// removed while held, so that a new process can hold again what its predecessor held.
    pub fn hold(&self, image: &Digest) -> Result<Hold, Error> {
        let mut state = self.state();
        let known = state
            .images
            .get(image)
            .ok_or_else(|| Error::NoSuchImage(image.to_string()))?;
        let layers = known.record.config.rootfs.diff_ids.clone();
        for diff in &layers {
            *state.leases.entry(diff.clone()).or_default() += 1;
        }
        *state.holds.entry(image.clone()).or_default() += 1;
        Ok(Hold {
            store: self.clone(),
            image: image.clone(),
            layers,
        })
    }
}
