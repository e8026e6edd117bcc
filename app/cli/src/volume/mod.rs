//! Verbs about volumes.
