//! The binary `proa`: flags in, one or a few calls to the engine, text out.
//!
//! [`verbs::VERBS`] lists what can be said; each verb is a file that holds its flags and what it does with them.
//! Flags are what was typed; a pure function beside them turns them into the engine's documents.
//!
//! Does not know: how an engine is built, or what a container is made of.

mod container;
mod context;
mod failure;
mod flags;
mod help;
mod image;
mod inspect;
mod machine;
mod network;
mod output;
mod registry;
mod session;
mod system;
mod template;
mod terminal;
mod verb;
mod verbs;
mod volume;
mod xray;

use std::ffi::OsString;

use clap::ArgMatches;

use failure::{Exit, Failure};
use session::Session;
use verb::{Kind, Verb};

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    #[cfg(target_os = "linux")]
    if let Some(ended) = proa_host::device::run(&arguments) {
        std::process::exit(device_ended(ended));
    }
    if let Some(code) = machine::hidden::run(&arguments) {
        std::process::exit(code);
    }
    if help::is_wanted(&arguments) {
        help::print();
        std::process::exit(0);
    }
    let matches = verbs::command(&arguments).get_matches_from(&arguments);
    let code = match run(&matches) {
        Ok(Exit(code)) => code,
        Err(failure) => {
            failure.report();
            failure.code()
        }
    };
    // Not a return: a thread may still sit in a read of standard input.
    std::process::exit(code);
}

/// Tells the machine, which reads the standard error of its devices, why one could not go on.
#[cfg(target_os = "linux")]
fn device_ended(ended: Result<(), proa_host::device::DeviceError>) -> i32 {
    let Err(error) = ended else {
        return 0;
    };
    Failure::from(error).report();
    1
}

fn run(matches: &ArgMatches) -> Result<Exit, Failure> {
    let session = Session::new(
        matches.get_one("host").cloned(),
        matches.get_one("context").cloned(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::io("start the asynchronous runtime", source))?;
    let exit = runtime.block_on(act(verbs::VERBS, matches, &session));
    runtime.shutdown_background();
    exit
}

async fn act(
    verbs: &'static [Verb],
    mut matches: &ArgMatches,
    session: &Session,
) -> Result<Exit, Failure> {
    let mut verbs = verbs;
    while let Some((name, inner)) = matches.subcommand() {
        let Some(verb) = verbs.iter().find(|verb| verb.name == name) else {
            break;
        };
        matches = inner;
        match &verb.kind {
            Kind::Leaf { act, .. } => return act(matches, session).await,
            Kind::Group(inner) => verbs = inner,
        }
    }
    // A group without a verb; clap has said so already for all but the top.
    Err(Failure::usage(
        "say what to do: `proa --help` lists the verbs",
    ))
}
