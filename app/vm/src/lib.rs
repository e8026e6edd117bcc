//! One micro-VM: booted, watched and stopped.
//!
//! A [`Machine`] takes a [`Spec`] and a [`Hypervisor`] and goes through its [`State`]s; who holds it reads what
//! happens as [`Event`]s and reaches the guest through the [`Dialer`] that a running machine offers. Backends differ
//! in how a guest is started, not in what a machine is: [`qemu::Qemu`] is the one that runs on Linux.
//!
//! Does not know: containers, Docker, HTTP, what a user's settings look like.
//!
//! Always true
//! * One task owns a machine's state; everyone else reads published copies and sends requests.
//! * When a machine has ended, no process of it is left and its sockets are gone.
//! * A data disk is used by one machine at a time, whatever dies in which order.
//!
//! Start at [`Machine::start`].

pub mod console;
#[cfg(target_os = "linux")]
pub mod devices;
mod dialer;
pub mod disk;
mod error;
mod hypervisor;
mod machine;
mod process;
pub mod qemu;
mod spec;

pub use dialer::{DialError, Dialer, Stream};
pub use error::{Said, StartError};
pub use hypervisor::{Guest, GuestEvent, Hypervisor, Process, Role};
pub use machine::{Event, Events, Exit, Machine, Phase, Progress, Running, State};
pub use spec::{Accelerator, Disk, DiskFormat, Image, Network, Share, Spec};
