//! The machine's first program, alone in its initramfs beside a few modules.
//!
//! ```text
//! kernel ─▶ /init: devices, image found and mounted, root made ─▶ /proa/bin/proa-agent init   (PID 1 from then on)
//! kernel ─▶ modprobe -q -- NAME: the module that a request of the kernel means
//! ```
//! It is small, because under emulation every megabyte of an initramfs is waited for; what is not needed before the
//! image is mounted lies in the image.
//!
//! Does not know: containers, the data disk, the network.

mod image;
mod root;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use proa_kernel::modules::Modules;

/// Where the modules lie that the image brings.
const MODULES: &str = "/proa/modules";

fn main() -> ExitCode {
    let outcome = if std::process::id() == 1 {
        root::begin()
    } else {
        answer_kernel()
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&told(&*error));
            ExitCode::FAILURE
        }
    }
}

/// What the kernel starts when something asks for a module (`kernel/module/kmod.c`): the name is the last argument.
fn answer_kernel() -> Result<(), Box<dyn std::error::Error>> {
    let Some(name) = std::env::args().next_back() else {
        return Err("no module is named".into());
    };
    Ok(Modules::open(Path::new(MODULES))?.load(&name)?)
}

/// One line on the console.
fn say(line: &str) {
    // There is nobody else to tell.
    let _ = writeln!(std::io::stderr(), "proa: boot: {line}");
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
