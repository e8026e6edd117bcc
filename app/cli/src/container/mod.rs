//! Verbs about containers.

pub(crate) mod attach;
pub(crate) mod create;
pub(crate) mod each;
pub(crate) mod flags;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod outcome;
pub(crate) mod remove;
pub(crate) mod run;
pub(crate) mod spec;
pub(crate) mod start;
