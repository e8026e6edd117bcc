//! What a machine asks of the program or framework that runs its guest.

use std::future::Future;

use crate::machine::Progress;
use crate::{Dialer, Exit, Spec, StartError};

/// A way of running guests.
pub trait Hypervisor: Send + Sync + 'static {
    /// A guest that this hypervisor has started.
    type Guest: Guest;

    /// What users know it by.
    fn name(&self) -> &'static str;

    /// Starts a guest and returns once its processors run. An error leaves no process and no file behind but the
    /// data disk and the console's log.
    fn boot(
        &self,
        spec: &Spec,
        progress: &Progress,
    ) -> impl Future<Output = Result<Self::Guest, StartError>> + Send;
}

/// A guest whose processors run. Dropping it ends it without asking it.
pub trait Guest: Send + 'static {
    /// How streams into it are opened.
    fn dialer(&self) -> Dialer;

    /// The host's processes that make it up.
    fn processes(&self) -> Vec<Process>;

    /// What runs its instructions, as users know it: `kvm`, `tcg`.
    fn accelerator(&self) -> &'static str;

    /// Waits for the next thing that happens to it. May be dropped and called again without losing anything.
    fn event(&mut self) -> impl Future<Output = GuestEvent> + Send;

    /// Presses its power button.
    fn power_button(&mut self) -> impl Future<Output = std::io::Result<()>> + Send;

    /// Says how much memory it should make do with; it gives the rest back as it can.
    fn set_memory(&mut self, bytes: u64) -> impl Future<Output = std::io::Result<()>> + Send;

    /// How much memory it has at the moment.
    fn memory(&mut self) -> impl Future<Output = std::io::Result<u64>> + Send;

    /// Ends it without asking it, and waits until its processes are gone.
    fn kill(&mut self) -> impl Future<Output = ()> + Send;
}

/// Something that happened to a guest.
#[derive(Clone, Debug)]
pub enum GuestEvent {
    /// It has written the first byte to its console.
    Spoke,
    /// It has ended; nothing follows.
    Ended(Exit),
}

/// One process of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// What it does for the machine.
    pub role: Role,
    /// Its number.
    pub pid: u32,
}

/// What a process does for a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs the guest.
    Hypervisor,
    /// Carries the guest's vsock streams.
    Vsock,
    /// Serves the share of this tag.
    Share(String),
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Role::Hypervisor => f.write_str("hypervisor"),
            Role::Vsock => f.write_str("vsock device"),
            Role::Share(tag) => write!(f, "share {tag}"),
        }
    }
}
