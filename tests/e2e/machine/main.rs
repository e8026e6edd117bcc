//! The machine as its user sees it: Docker's API, streams, ports and folders of this host, and what happens when
//! something dies.
//!
//! For most of it an engine of this host in a network of its own stands for the machine (`PROA_MACHINE`): everything but
//! the virtual hardware is the same, and quick.

#[path = "../../support/mod.rs"]
mod support;

mod binds;
mod kit;
mod lifecycle;
mod ports;
mod streams;
