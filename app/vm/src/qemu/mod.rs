//! The backend for QEMU.
//!
//! ```text
//!   Ready ──────────▶ Household ─────────────▶ QemuGuest
//!   program, image,   devices and QEMU run;    an accelerated guest's kernel has spoken, or the next
//!   disk, checked     QEMU has said hello      accelerator was tried
//! ```
//!
//! Each holds what it made and lets go of it when it is dropped. QEMU is told what to do over its standard input and
//! output ([`control`]), by a command line that is a value ([`command`]).

mod accelerator;
mod advice;
mod command;
mod control;
mod devices;
mod guest;
mod image;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

use accelerator::Choice;
use command::{Engine, Plan};
use control::Control;
use devices::Household;
use image::{Architecture, Checked};

pub use guest::QemuGuest;

use crate::disk::{self, Change};
use crate::machine::{Phase, Progress};
use crate::{DiskFormat, Exit, Guest as _, GuestEvent, Hypervisor, Role, Spec, StartError};

const NAME: &str = "QEMU";

/// QEMU, as found on the program's `PATH`.
#[derive(Clone, Debug)]
pub struct Qemu {
    path: Option<OsString>,
    architecture: Architecture,
}

impl Qemu {
    /// QEMU for guests of this computer's architecture, wherever `PATH` leads to.
    pub fn new() -> Qemu {
        Qemu::in_path(std::env::var_os("PATH"))
    }

    /// The same, looked for in these folders.
    pub fn in_path(path: Option<OsString>) -> Qemu {
        Qemu {
            path,
            architecture: Architecture::of_host(),
        }
    }
}

impl Default for Qemu {
    fn default() -> Qemu {
        Qemu::new()
    }
}

/// Everything that a start needs is there and ours.
struct Ready {
    program: PathBuf,
    image: Checked,
    disk: Arc<disk::Locked>,
    /// What a qcow2 disk is to be grown to; QEMU does that itself.
    grown: Option<u64>,
    choice: Choice,
    memory: accelerator::Memory,
}

impl Hypervisor for Qemu {
    type Guest = QemuGuest;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn boot(&self, spec: &Spec, progress: &Progress) -> Result<QemuGuest, StartError> {
        let ready = self.check(spec, progress)?;
        if let (Some(why), Some(native)) = (&ready.choice.against, native_name()) {
            progress.reached(Phase::FellBack {
                from: native,
                to: Engine::Tcg.name(),
                why: format!("as seen at an earlier start: {why}"),
            });
        }
        let mut engines = ready.choice.engines.iter().copied().peekable();
        loop {
            let Some(engine) = engines.next() else {
                return Err(StartError::Unfit {
                    why: "no accelerator is left to try".into(),
                });
            };
            match (
                attempt(&ready, engine, spec, progress).await?,
                engines.peek(),
            ) {
                (Ok(guest), _) => return Ok(guest),
                (Err(why), Some(next)) => {
                    ready.memory.keep(&why);
                    progress.reached(Phase::FellBack {
                        from: engine.name(),
                        to: next.name(),
                        why,
                    });
                }
                (Err(why), None) => {
                    return Err(StartError::Accelerator {
                        accelerator: engine.name(),
                        why,
                    });
                }
            }
        }
    }
}

fn native_name() -> Option<&'static str> {
    match std::env::consts::OS {
        "macos" => Some(Engine::Hvf.name()),
        "linux" => Some(Engine::Kvm.name()),
        _ => None,
    }
}

impl Qemu {
    fn check(&self, spec: &Spec, progress: &Progress) -> Result<Ready, StartError> {
        let program = advice::find(self.architecture, self.path.as_deref())?;
        let image = image::check(&spec.image.folder, self.architecture)?;
        for share in &spec.shares {
            let unusable = |source| StartError::Share {
                path: share.path.clone(),
                source,
            };
            std::fs::read_dir(&share.path).map_err(unusable)?;
        }
        if spec.cpus == 0 || spec.memory < SMALLEST_MEMORY {
            return Err(StartError::Unfit {
                why: format!(
                    "{} processors and {} MB of memory; it takes at least 1 and {}",
                    spec.cpus,
                    spec.memory >> 20,
                    SMALLEST_MEMORY >> 20
                ),
            });
        }
        devices::make_folders(spec)?;
        let disk = disk::prepare(&spec.disk)?;
        match disk.change {
            Change::None => {}
            Change::Made { bytes } => progress.reached(Phase::DiskMade { bytes }),
            Change::Grown { from, to } => progress.reached(Phase::DiskGrown { from, to }),
        }
        let memory = accelerator::Memory::new(&spec.run, &program);
        Ok(Ready {
            grown: growth(spec),
            choice: accelerator::choose(spec.accelerator, image.architecture, &memory),
            disk: Arc::new(disk),
            program,
            image,
            memory,
        })
    }
}

/// With less, Linux and an engine do not get as far as saying so.
const SMALLEST_MEMORY: u64 = 192 << 20;

fn growth(spec: &Spec) -> Option<u64> {
    let usage = disk::usage(&spec.disk).ok().flatten()?;
    let grows = spec.disk.format == DiskFormat::Qcow2 && usage.size < spec.disk.size;
    grows.then_some(spec.disk.size)
}

/// One start with one accelerator. The inner error says why that accelerator cannot run the guest.
async fn attempt(
    ready: &Ready,
    engine: Engine,
    spec: &Spec,
    progress: &Progress,
) -> Result<Result<QemuGuest, String>, StartError> {
    let mut guest = assemble(ready, engine, spec, progress).await?;
    if engine == Engine::Tcg {
        return Ok(Ok(guest));
    }
    let proved = guest.prove().await;
    if proved.is_err() {
        guest.kill().await;
    }
    Ok(proved.map(|()| guest))
}

/// Devices and QEMU, up to QEMU's hello.
async fn assemble(
    ready: &Ready,
    engine: Engine,
    spec: &Spec,
    progress: &Progress,
) -> Result<QemuGuest, StartError> {
    // What an earlier run wrote would be taken for this one's first words.
    devices::remove(&spec.console)?;
    let mut household = Household::start(spec).await?;
    progress.reached(Phase::DevicesUp);
    let arguments = command::arguments(&Plan {
        spec,
        architecture: ready.image.architecture,
        accelerator: engine,
        image_words: &ready.image.words,
        vsock: household.carrier(),
        shares: household.shares(),
        halted: ready.grown.is_some(),
    })?;
    let mut qemu = Command::new(&ready.program);
    qemu.args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    household
        .add(Role::Hypervisor, qemu, &ready.program)
        .await?;
    let control = match greet(&mut household, ready.grown).await {
        Ok(control) => control,
        Err(source) => return Err(too_early(household, source).await),
    };
    progress.reached(Phase::Booting {
        accelerator: engine.name(),
    });
    Ok(QemuGuest::new(
        household,
        control,
        engine,
        spec.console.clone(),
        Arc::clone(&ready.disk),
    ))
}

async fn greet(household: &mut Household, grown: Option<u64>) -> std::io::Result<Control> {
    let pipes = household.pipes();
    let (output, input) = pipes.ok_or_else(|| std::io::Error::other("it has no pipes"))?;
    let control = Control::open(output, input).await?;
    if let Some(bytes) = grown {
        control.resize("data", bytes).await?;
        control.go_on().await?;
    }
    Ok(control)
}

/// Why QEMU did not say hello: mostly, because a process has died.
async fn too_early(mut household: Household, source: std::io::Error) -> StartError {
    let patience = std::time::Duration::from_secs(2);
    let died = tokio::time::timeout(patience, household.ended()).await;
    household.kill().await;
    match died {
        Ok((role, how)) => StartError::ProcessEnded {
            process: role.to_string(),
            how,
            said: crate::Said::default(),
        },
        Err(_) => StartError::Control {
            hypervisor: NAME,
            source,
        },
    }
}

/// What a start makes of a guest's end.
fn ended_early(event: &GuestEvent) -> Option<String> {
    match event {
        GuestEvent::Spoke => None,
        GuestEvent::Ended(Exit::Lost { how, .. }) => Some(how.clone()),
        GuestEvent::Ended(_) => Some("the guest ended before its kernel said a word".into()),
    }
}

#[cfg(test)]
mod tests;
