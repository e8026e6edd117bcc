//! Proa beside Docker, Podman and crun on one machine, in one run: medians of interleaved measurements, and ratios.
//!
//! `scripts/dev bench` runs it with release binaries. Words on its command line choose parts by name: `start run exec
//! pull memory many network`. It prints a table and writes the same as JSON into `tests/bench/results`.
//!
//! Peers are found on PATH or started through the command in `PEERS`. A peer whose programs need a mount namespace of
//! their own is timed from inside of it, by this same binary, so that entering costs the measurement nothing.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints its table"
)]
#![allow(unreachable_pub, reason = "shared between the modules of one program")]

#[path = "../support/mod.rs"]
mod support;

mod containers;
mod exec;
mod many;
mod memory;
mod network;
mod pull;
mod stopwatch;
mod streams;
mod table;

use table::Table;

/// How often the parts that take milliseconds are repeated.
pub const ROUNDS: usize = 60;
/// For the parts that take seconds.
pub const SLOW_ROUNDS: usize = 5;

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    if let Some((first, _)) = words.split_first()
        && first == stopwatch::INSIDE
    {
        return stopwatch::serve();
    }
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| word == name);
    let mut table = Table::default();
    let parts: [(&str, fn(&mut Table)); 7] = [
        ("start", containers::start),
        ("run", containers::run_whole),
        ("exec", exec::exec),
        ("pull", pull::pull),
        ("memory", memory::memory),
        ("many", many::many),
        ("network", network::network),
    ];
    for (name, part) in parts {
        if wanted(name) {
            eprintln!("measuring {name} …");
            part(&mut table);
        }
    }
    table.print();
    table.save();
}
