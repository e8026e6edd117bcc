//! Verbs about the engine as a whole.

pub(crate) mod completion;
pub(crate) mod df;
pub(crate) mod events;
pub(crate) mod info;
pub(crate) mod prune;
pub(crate) mod start;
pub(crate) mod version;
