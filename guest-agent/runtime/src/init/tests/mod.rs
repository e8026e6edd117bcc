//! First processes and execs in real namespaces. They need root, and leave nothing behind.
//!
//! The functions under test want a single-threaded caller, so each test forks one ([`support::run`]).

mod execs;
mod isolation;
mod mounts;
mod support;
mod users;
