//! An engine that runs already, in the machine's place: for tests and for developing without a virtual machine.
//!
//! `PROA_MACHINE=unix:///path/of/its.sock` asks for it.

use std::future::pending;
use std::io;
use std::path::PathBuf;

use proa_vm::{Dialer, Guest, GuestEvent, Hypervisor, Process, Progress, Spec, StartError};

/// The engine's socket.
#[derive(Clone, Debug)]
pub(super) struct Attached {
    pub(super) socket: PathBuf,
}

impl Attached {
    /// What the environment asks for.
    pub(super) fn asked() -> Option<Self> {
        let address = std::env::var("PROA_MACHINE").ok()?;
        let socket = address.strip_prefix("unix://")?.into();
        Some(Self { socket })
    }
}

impl Hypervisor for Attached {
    type Guest = Self;

    fn name(&self) -> &'static str {
        "attached"
    }

    async fn boot(&self, _: &Spec, _: &Progress) -> Result<Self, StartError> {
        Ok(self.clone())
    }
}

impl Guest for Attached {
    fn dialer(&self) -> Dialer {
        Dialer::Unix {
            path: self.socket.clone(),
        }
    }

    fn processes(&self) -> Vec<Process> {
        Vec::new()
    }

    fn accelerator(&self) -> &'static str {
        "none"
    }

    async fn event(&mut self) -> GuestEvent {
        pending().await
    }

    async fn power_button(&mut self) -> io::Result<()> {
        Err(io::Error::other("an engine that runs by itself has none"))
    }

    async fn set_memory(&mut self, _: u64) -> io::Result<()> {
        Err(io::Error::other(
            "an engine that runs by itself has its host's memory",
        ))
    }

    async fn memory(&mut self) -> io::Result<u64> {
        Err(io::Error::other(
            "an engine that runs by itself has its host's memory",
        ))
    }

    async fn kill(&mut self) {}
}
