//! What Docker gives is checked, not believed: our engine beside the peer's on one machine, document by document and
//! system call by system call.
#![allow(unreachable_pub, reason = "shared between the modules of one test")]

#[path = "../support/mod.rs"]
mod support;

mod difference;
mod docker_cli;
mod docker_py;
mod documents;
mod ecosystem;
mod errors;
mod files;
mod ground;
mod implied;
mod inside;
mod names;
mod networks;
mod pair;
mod podman;
mod versions;
mod volumes;
