//! Images: references, digests, registries, the content store, and layers as overlay lower directories.
//!
//! A [`Store`] keeps documents by digest and **one directory per layer**, independent of the layers beneath it, so
//! that the layers of one image are fetched, checked and unpacked in parallel. An [`Image`] is a configuration and
//! the directories that an overlay root is made of.
//!
//! Does not know: containers, networks, the Docker API. Containers appear only as somebody who holds an image.
//!
//! Always true
//! * A layer's directory exists under its diff id only if every byte of it was verified.
//! * An image is recorded only when its documents and layers are.
//! * What is held is not removed.
//!
//! Start at [`Store::pull`].

mod archive;
pub mod changes;
mod digest;
mod documents;
mod error;
pub mod files;
mod image;
mod layer;
mod platform;
mod progress;
mod pull;
mod push;
mod reference;
mod registry;
mod remote;
mod store;
mod tar;

pub use digest::{BadDigest, ChainId, DiffId, Digest, Hasher};
pub use documents::{
    ContainerDefaults, Descriptor, Empty, Healthcheck, HistoryEntry, ImageConfig, Index, Manifest,
    RootFs, media,
};
pub use error::{Error, Kind};
pub use image::{
    Filters, HeldBy, HistoryLine, Image, Loaded, NewImage, Pruned, Pulled, RemoveOptions, Removed,
    Summary,
};
pub use layer::LayerError;
pub use platform::{BadPlatform, Platform};
pub use progress::{Detail, Progress, Pushed};
pub use reference::{BadReference, Reference};
pub use registry::{Credentials, Login, RegistryError, SearchResult};
pub use remote::Distribution;
pub use store::{Hold, Settings, Store};

/// What fuzz targets reach into.
#[cfg(fuzzing)]
pub mod fuzzing {
    use std::io;
    use std::path::Path;

    /// Unpacks a layer's tar into an empty folder; whether it was one.
    pub fn unpack(tar: &[u8], layer: &Path) -> bool {
        crate::layer::unpack(tar, layer).is_ok()
    }

    /// Writes the tar again that a layer was unpacked from.
    pub fn write_tar(layer: &Path, to: &mut Vec<u8>) -> io::Result<()> {
        crate::layer::write_tar(layer, to)
    }
}
