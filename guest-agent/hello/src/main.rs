//! The one program of the embedded image `proa/hello`: it prints what a container sees of itself.
//!
//! Everything shown is read from `/proc` and `/sys` as any program in the container could; nothing is told by the
//! engine. A few words make it useful without a shell: `hello sleep 5`, `hello exit 3`, `hello echo hi`, `hello env`.
//!
//! Does not know: the engine, its API, any other crate. It uses the standard library alone, so that it stays small
//! enough to be carried inside `proa-agent`.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

mod capabilities;
mod limits;
mod namespaces;
mod page;
mod report;
mod root;
mod status;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => page::print(&report::report()),
        ["true"] => {}
        ["false"] => return ExitCode::from(1),
        ["echo", said @ ..] => println!("{}", said.join(" ")),
        ["env"] => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        ["exit", code] => return code.parse::<u8>().map_or_else(|_| usage(), ExitCode::from),
        ["sleep", seconds] => return sleep(seconds),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn sleep(seconds: &str) -> ExitCode {
    let span = seconds
        .parse()
        .ok()
        .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
    let Some(span) = span else { return usage() };
    std::thread::sleep(span);
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: hello [true | false | echo WORDS... | env | exit CODE | sleep SECONDS]");
    ExitCode::from(2)
}
