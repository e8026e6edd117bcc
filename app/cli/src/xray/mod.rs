//! Verbs about what the kernel really does for a container.

pub(crate) mod path;
