//! Verbs about networks.

pub(crate) mod connect;
pub(crate) mod create;
pub(crate) mod disconnect;
pub(crate) mod list;
pub(crate) mod remove;
