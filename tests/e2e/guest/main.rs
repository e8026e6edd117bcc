//! The guest's side of the machine: its boot files in a plain QEMU without acceleration, nothing of the host's side. The API
//! is reached through a TCP port, which a machine of the product does not open.

#![allow(clippy::unwrap_used, reason = "a test ends there")]
#![allow(unreachable_pub, reason = "shared between the modules of one test")]

#[path = "../../support/mod.rs"]
mod support;

mod aarch64;
mod data_disk;
mod guest;
mod upkeep;
