//! Verbs about systems.
