//! Verbs about containers.

pub(crate) mod attach;
pub(crate) mod commit;
pub(crate) mod create;
pub(crate) mod diff;
pub(crate) mod each;
pub(crate) mod exec;
pub(crate) mod export;
pub(crate) mod flags;
pub(crate) mod kill;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod outcome;
pub(crate) mod pause;
pub(crate) mod port;
pub(crate) mod remove;
pub(crate) mod rename;
pub(crate) mod restart;
pub(crate) mod run;
pub(crate) mod spec;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod top;
pub(crate) mod unpause;
pub(crate) mod update;
pub(crate) mod wait;
