//! The first process of the machine: makes of a bare kernel what the engine needs, and becomes the keeper.
//!
//! ```text
//! mounts ─▶ ┬ drivers ─▶ network ─┐
//!           └ data disk ──────────┴─▶ listeners ─▶ keeper (holds them) ─▶ serve
//! ```
//! Nothing here stops the boot: a machine without a network or with a broken disk still answers its host, and tells what is
//! wrong, on the console and in its health.

mod command_line;
mod console;
mod data_disk;
mod files;
mod listeners;
mod mounts;
mod network;
mod power;
pub(crate) mod state;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use proa_kernel::modules::Modules;
use proa_runtime::keeper;

use command_line::CommandLine;
use state::State;

pub(crate) use power::off;

/// What the image brings, mounted by the machine's first program.
const IMAGE: &str = "/proa";

/// Brings the machine up. Returns only if it cannot become the keeper.
pub(crate) fn run() -> ExitCode {
    if std::process::id() != 1 {
        console::say("only the first process of a machine is `init`");
        return ExitCode::FAILURE;
    }
    mounts::all();
    let words = CommandLine::read();
    files::all(&words);
    console::phase("root ready");
    let disk = devices(&words);
    State { disk }.save();
    let listeners = listeners::all(&words);
    console::phase("starting the engine");
    let mut arguments: Vec<OsString> = ["serve", "--socket", listeners::UNIX]
        .map(Into::into)
        .into();
    // The computer around a machine is what containers mean by their host.
    let host = words.last("proa.gateway");
    arguments.extend(host.map(|address| OsString::from(format!("--host-gateway-ip={address}"))));
    arguments.extend(words.all("proa.serve").map(Into::into));
    match keeper::enter(listeners, &arguments) {
        Ok(never) => match never {},
        Err(error) => console::say(&format!("become the keeper: {error}")),
    }
    ExitCode::FAILURE
}

/// Drivers and network on one side, the data disk on the other: neither waits for the other.
fn devices(words: &CommandLine) -> state::FoundDisk {
    let modules = match Modules::open(&Path::new(IMAGE).join("modules")) {
        Ok(modules) => modules,
        Err(error) => {
            console::say(&format!("read the modules of the image: {error}"));
            return data_disk::none("the image has no modules");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for failed in modules.load_drivers() {
                console::say(&crate::log::told(&failed));
            }
            network::up(words);
        });
        data_disk::mount(&modules)
    })
}
