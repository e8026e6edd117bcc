//! What a user of `proa` sees, against a private engine.

#[path = "../../support/mod.rs"]
mod support;

mod debug;
mod life;
mod lists;
mod registries;
mod streams;
mod terminal;
mod xray;
