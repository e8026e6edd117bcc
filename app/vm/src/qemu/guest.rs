//! A guest that QEMU runs.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::accelerator::{LONGEST_SILENCE, SILENCE, processor_time};
use super::command::Engine;
use super::control::{Cause, Control, Status, Told};
use super::devices::Household;
use super::ended_early;
use crate::{Dialer, Exit, Guest, GuestEvent, Process, Role, console, disk};

/// How often the console is looked at until there is something on it.
const GLANCE: Duration = Duration::from_millis(20);

/// How long QEMU may take to end after it has said that it will, or after one of its devices has gone.
const PARTING: Duration = Duration::from_secs(5);

/// A guest, with QEMU and the devices around it.
pub struct QemuGuest {
    household: Household,
    control: Control,
    engine: Engine,
    console: PathBuf,
    spoke: bool,
    /// Why QEMU is about to end, once it has told.
    cause: Option<Cause>,
    /// Whether QEMU still talks.
    talks: bool,
    _disk: Arc<disk::Locked>,
}

impl QemuGuest {
    pub(super) fn new(
        household: Household,
        control: Control,
        engine: Engine,
        console: PathBuf,
        disk: Arc<disk::Locked>,
    ) -> QemuGuest {
        QemuGuest {
            household,
            control,
            engine,
            console,
            spoke: false,
            cause: None,
            talks: true,
            _disk: disk,
        }
    }

    /// Waits for the kernel's first word, which an accelerator that works does not keep one waiting for. Says why, if
    /// this one does not.
    pub(super) async fn prove(&mut self) -> Result<(), String> {
        let started = Instant::now();
        while !console::has_spoken(&self.console) {
            tokio::select! {
                event = self.event() => if let Some(why) = ended_early(&event) {
                    return Err(why);
                },
                () = tokio::time::sleep(GLANCE) => {}
            }
            let used = self
                .household
                .pid(&Role::Hypervisor)
                .and_then(processor_time);
            if used.is_some_and(|used| used > SILENCE) || started.elapsed() > LONGEST_SILENCE {
                return Err("the guest's kernel said nothing in the time it should take".into());
            }
        }
        Ok(())
    }

    async fn told(&mut self, told: Option<Told>) -> Option<Exit> {
        match told {
            None => self.talks = false,
            Some(Told::Shutdown(cause)) => self.cause = Some(cause),
            Some(Told::Panicked) => self.cause = Some(Cause::Panic),
            Some(Told::Stopped) => {
                if matches!(self.control.status().await, Ok(Status::InternalError)) {
                    return Some(Exit::Lost {
                        role: Role::Hypervisor,
                        how: format!("{} stopped with an internal error", self.engine.name()),
                    });
                }
            }
        }
        None
    }

    /// One of the processes has ended; what that means.
    async fn ended(&mut self, role: Role, how: String) -> Exit {
        // Devices end when QEMU does, and may be noticed first; and QEMU's own reason may still be on its way.
        let last_words = async {
            while self.talks {
                let told = self.control.told().await;
                self.told(told).await;
            }
        };
        let parted = tokio::time::timeout(PARTING, last_words).await;
        let panicked = || Exit::Panicked {
            console: console::tail(&self.console),
        };
        match (self.cause, parted) {
            (Some(Cause::Off), _) => Exit::PoweredOff,
            (Some(Cause::Panic), _) => panicked(),
            (Some(Cause::Reset), _) if has_panicked(&console::tail(&self.console)) => panicked(),
            (Some(Cause::Reset), _) => Exit::Rebooted,
            (Some(Cause::Host), _) => Exit::Killed,
            (None, Ok(())) => self.blame(role, how).await,
            (None, Err(_)) => Exit::Lost { role, how },
        }
    }

    /// QEMU hung up without a word: was it first, or did it follow a device?
    async fn blame(&mut self, role: Role, how: String) -> Exit {
        if role == Role::Hypervisor {
            return Exit::Lost { role, how };
        }
        let qemu = tokio::time::timeout(PARTING, self.household.hypervisor_ended()).await;
        match qemu {
            Ok(how) => Exit::Lost {
                role: Role::Hypervisor,
                how,
            },
            Err(_) => Exit::Lost { role, how },
        }
    }
}

fn has_panicked(console: &[String]) -> bool {
    console.iter().any(|line| line.contains("Kernel panic"))
}

impl Guest for QemuGuest {
    fn dialer(&self) -> Dialer {
        self.household.dialer()
    }

    fn processes(&self) -> Vec<Process> {
        self.household.processes()
    }

    fn accelerator(&self) -> &'static str {
        self.engine.name()
    }

    async fn event(&mut self) -> GuestEvent {
        loop {
            tokio::select! {
                told = self.control.told(), if self.talks => {
                    if let Some(exit) = self.told(told).await {
                        return GuestEvent::Ended(exit);
                    }
                }
                (role, how) = self.household.ended() => {
                    return GuestEvent::Ended(self.ended(role, how).await);
                }
                () = tokio::time::sleep(GLANCE), if !self.spoke => {
                    if console::has_spoken(&self.console) {
                        self.spoke = true;
                        return GuestEvent::Spoke;
                    }
                }
            }
        }
    }

    async fn power_button(&mut self) -> io::Result<()> {
        self.control.power_button().await
    }

    async fn set_memory(&mut self, bytes: u64) -> io::Result<()> {
        self.control.set_memory(bytes).await
    }

    async fn memory(&mut self) -> io::Result<u64> {
        self.control.memory().await
    }

    async fn kill(&mut self) {
        self.household.kill().await;
    }
}
