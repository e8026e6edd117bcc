//! The embedded image `proa/hello`, as `docker save` would write it.

/// The name it is known by.
pub(crate) const NAME: &str = "proa/hello:latest";

/// A gzipped docker-archive, made by `build.rs` from the crate `proa-hello`.
pub(crate) const ARCHIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hello.tar.gz"));
