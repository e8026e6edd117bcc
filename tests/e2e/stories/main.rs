//! Stories of the engine, told over its API and by its users' command lines, against the real kernel. They run natively
//! and once more in the guest of `scripts/dev vm`, where cgroups are version 2 and every limit is enforced.

#![allow(clippy::unwrap_used, reason = "a test ends there")]
#![allow(unreachable_pub, reason = "shared between the modules of one test")]

#[path = "../../support/mod.rs"]
mod support;

mod compose;
mod crash;
mod debian;
mod hello;
mod kit;
mod lifecycle;
mod limits;
mod metrics;
mod networks;
mod readers;
mod service;
mod traces;
mod users;
