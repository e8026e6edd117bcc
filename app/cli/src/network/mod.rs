//! Verbs about networks.
