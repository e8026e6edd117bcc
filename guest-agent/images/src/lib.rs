//! References, digests, registries, the content store and layers.
