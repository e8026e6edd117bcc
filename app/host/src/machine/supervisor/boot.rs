//! From settings to a machine whose engine answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use proa_protocol::proa::Health;
use proa_vm::{
    Accelerator, Dialer, Disk, DiskFormat, Image, Machine, Network, Share, Spec, StartError,
};

use super::attached::Attached;
use super::{Notices, Up, image, surroundings};
use crate::error::told;
use crate::machine::CONTROL_PORT;
use crate::machine::control::ProcessStatus;
use crate::machine::folders::Folders;
use crate::machine::guest::{Guest, GuestError};
use crate::machine::settings::{AcceleratorName, Settings, SettingsError};

/// How long a machine may take to its first answer; translation on a busy computer is slow.
const PATIENCE: Duration = Duration::from_secs(180);
/// Where the agent has the engine's socket in a machine.
const ENGINE_SOCKET: &str = "/run/proa/proa.sock";

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
pub(super) enum BootError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(
        "there are no boot files for the machine: make them with `scripts/dev image`, or name their folder with PROA_IMAGE"
    )]
    NoImage,
    #[error("find this program's own file")]
    Program(#[source] std::io::Error),
    #[error(transparent)]
    Start(Arc<StartError>),
    #[error(transparent)]
    Guest(#[from] GuestError),
}

/// What is to be started.
pub(super) struct Plan {
    spec: Spec,
    attached: Option<Attached>,
    settings: Settings,
}

impl Plan {
    pub(super) fn new(folders: &Folders, settings: Settings) -> Result<Self, BootError> {
        let attached = Attached::asked();
        let folder = match (&attached, image::find(settings.image.as_deref())) {
            (_, Some(folder)) => folder,
            (Some(_), None) => PathBuf::new(),
            (None, None) => return Err(BootError::NoImage),
        };
        let program = std::env::current_exe().map_err(BootError::Program)?;
        let shares = settings.shares.iter().enumerate();
        let spec = Spec {
            image: Image { folder },
            run: folders.run.clone(),
            console: folders.console(),
            cpus: settings.cpus,
            memory: settings.memory,
            disk: Disk {
                path: folders.disk(),
                size: settings.disk,
                format: DiskFormat::Raw,
            },
            shares: shares
                .map(|(number, share)| Share {
                    tag: format!("share{number}"),
                    path: share.path.clone(),
                    readonly: share.readonly,
                })
                .collect(),
            network: Network { ipv6: false },
            accelerator: match settings.accelerator {
                AcceleratorName::Auto => Accelerator::Auto,
                AcceleratorName::Kvm => Accelerator::Kvm,
                AcceleratorName::Tcg => Accelerator::Tcg,
            },
            devices: vec![program.into()],
            kernel_words: surroundings::words(),
            ready_port: CONTROL_PORT,
            patience: PATIENCE,
        };
        Ok(Self {
            spec,
            attached,
            settings,
        })
    }

    /// Starts it; it is not up yet.
    pub(super) fn start(&self) -> Machine {
        match &self.attached {
            Some(attached) => Machine::start(attached.clone(), self.spec.clone()),
            None => Machine::start(proa_vm::qemu::Qemu::new(), self.spec.clone()),
        }
    }

    /// Whether it is ours to turn off.
    pub(super) fn is_virtual(&self) -> bool {
        self.attached.is_none()
    }

    /// Waits until its engine answers, and makes it at home here: clock, shares.
    pub(super) async fn settle(&self, machine: Machine, notices: Notices) -> Result<Up, BootError> {
        let begun = Instant::now();
        let dialer = machine.ready().await.map_err(BootError::Start)?;
        let guest = Guest::at(dialer.clone());
        let health = first_answer(&guest).await?;
        if self.is_virtual() {
            self.introduce(&guest, &notices).await;
        }
        Ok(self.up(machine, dialer, guest, health, begun.elapsed()))
    }

    /// An agent that lacks one of these can still run containers, so that they are told and no more.
    async fn introduce(&self, guest: &Guest, notices: &Notices) {
        if let Err(e) = guest.set_clock().await {
            notices.add(format!("the machine's clock cannot be set: {}", told(&e)));
        }
        if let Err(e) = guest.set_shares(&self.spec.shares).await {
            notices.add(format!("folders cannot be shared: {}", told(&e)));
        }
    }

    fn up(
        &self,
        machine: Machine,
        dialer: Dialer,
        guest: Guest,
        health: Health,
        took: Duration,
    ) -> Up {
        let (accelerator, processes) = match machine.state() {
            proa_vm::State::Running(running) => (running.accelerator, running.processes),
            _ => ("", Vec::new()),
        };
        let processes = processes.into_iter().map(|process| ProcessStatus {
            role: process.role.to_string(),
            pid: process.pid,
        });
        let engine_socket = match &self.attached {
            Some(attached) => attached.socket.clone(),
            None => ENGINE_SOCKET.into(),
        };
        Up {
            dialer,
            guest: Arc::new(guest),
            shares: self.settings.shares.clone(),
            engine_socket,
            agent_version: health.version,
            accelerator,
            processes: processes.collect(),
            since: SystemTime::now(),
            took,
        }
    }
}

/// The port may answer a moment before the engine does.
async fn first_answer(guest: &Guest) -> Result<Health, GuestError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match guest.health().await {
            Err(GuestError::Silent(_) | GuestError::Late) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => return other,
        }
    }
}
