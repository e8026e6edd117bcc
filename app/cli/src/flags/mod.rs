//! Values that flags take, from text: pure, and Docker's rules exactly.

pub(crate) mod bytes;
pub(crate) mod csv;
pub(crate) mod device;
pub(crate) mod document;
pub(crate) mod duration;
pub(crate) mod filter;
pub(crate) mod keys;
pub(crate) mod moment;
pub(crate) mod mount;
pub(crate) mod network;
pub(crate) mod pairs;
pub(crate) mod port;
pub(crate) mod ulimit;
