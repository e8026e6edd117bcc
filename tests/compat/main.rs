//! What Docker gives is checked, not believed: our engine beside the peer's on one machine, document by document and
//! system call by system call.

#[path = "../support/mod.rs"]
mod support;

mod ground;
