//! Keeper, monitors and their client as real processes.
//!
//! Every test has a keeper of its own. The program is all of them by turns, so it has a `main` of its own instead of the test
//! framework's; `cargo test --test processes NAME…` runs the tests whose names contain one of the words.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the whole program is a test"
)]

mod exec;
mod ground;
mod keeper;
mod logs;
mod measure;
mod output;
mod plan;
mod service;
mod stdin;

use std::panic;
use std::process::ExitCode;
use std::time::Instant;

type Test = (&'static str, fn());

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(ground::KEEPER) => return ExitCode::from(ground::be_keeper()),
        Some("measure") => return measure::run(),
        Some(service::SERVICE) => return service::be_service(),
        _ => {}
    }
    run(&[
        output::TESTS,
        stdin::TESTS,
        exec::TESTS,
        keeper::TESTS,
        logs::TESTS,
        service::TESTS,
    ]
    .concat())
}

fn run(tests: &[Test]) -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    if std::env::args().any(|word| word == "--list") {
        for (name, _) in tests {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let mut failed = 0;
    for (name, test) in tests.iter().filter(|(name, _)| wanted(name)) {
        let begun = Instant::now();
        let passed = panic::catch_unwind(test).is_ok();
        let outcome = if passed { "ok" } else { "FAILED" };
        println!(
            "test {name} ... {outcome} ({:.2} s)",
            begun.elapsed().as_secs_f64()
        );
        failed += u32::from(!passed);
    }
    println!("{failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
