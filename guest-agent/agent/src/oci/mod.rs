//! `proa-agent oci`: the runc-compatible command line, so that Podman and others can use Proa as their runtime.
//!
//! A container is a folder below `--root` with its state and its spec; its first process waits at a gate (a socket in
//! that folder) between `create` and `start`. There is no monitor of ours: the caller (conmon, a shim) is the parent.
//!
//! Also reached by a link to the program whose name ends in `oci`.

mod arguments;
mod console;
mod create;
mod delete;
mod error;
mod exec;
mod features;
mod group;
mod kill;
mod list;
mod pause;
mod ps;
mod report;
mod seal;
mod signals;
mod spec;
mod start;
mod state;
mod store;
mod update;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

pub(crate) use arguments::OciArguments;
use arguments::{Globals, Verb};
use error::OciError;

/// The command line of a program that is called `proa-oci`, where the verb comes first.
pub(crate) fn by_name(name: Option<&OsStr>) -> Option<OciArguments> {
    let name = Path::new(name?).file_name()?.to_str()?;
    name.ends_with("oci").then(OciArguments::parse)
}

/// Does what was asked; a failure goes to standard error and to `--log`.
pub(crate) fn run(arguments: OciArguments) -> ExitCode {
    let globals = arguments.globals;
    match perform(&globals, arguments.verb) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report::failure(&globals, &error);
            ExitCode::FAILURE
        }
    }
}

fn perform(globals: &Globals, verb: Verb) -> Result<u8, OciError> {
    match verb {
        Verb::Create(arguments) => {
            seal::once()?;
            create::create(globals, &arguments).map(|()| 0)
        }
        Verb::Run(arguments) => {
            seal::once()?;
            create::run(globals, &arguments)
        }
        Verb::Exec(arguments) => {
            seal::once()?;
            exec::exec(globals, &arguments)
        }
        Verb::Start { id } => start::start(globals, &id).map(|()| 0),
        Verb::State { id } => state::show(globals, &id).map(|()| 0),
        Verb::Kill(arguments) => kill::kill(globals, &arguments).map(|()| 0),
        Verb::Delete(arguments) => delete::delete(globals, &arguments).map(|()| 0),
        Verb::Ps(arguments) => ps::show(globals, &arguments).map(|()| 0),
        Verb::Pause { id } => pause::pause(globals, &id).map(|()| 0),
        Verb::Resume { id } => pause::resume(globals, &id).map(|()| 0),
        Verb::Update(arguments) => update::update(globals, &arguments).map(|()| 0),
        Verb::List(arguments) => list::show(globals, &arguments).map(|()| 0),
        Verb::Spec(arguments) => spec::write(&arguments).map(|()| 0),
        Verb::Features => features::show().map(|()| 0),
    }
}
