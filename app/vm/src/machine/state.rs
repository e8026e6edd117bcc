//! What can be said about a machine at a moment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::StartError;
use crate::{Dialer, Process, Role};

/// Where a machine is between its start and its end; the module page has the picture.
#[derive(Clone, Debug)]
pub enum State {
    /// On its way; the phase is the last one that was reached.
    Starting(Phase),
    /// Streams can be opened into the guest.
    Running(Running),
    /// The power button was pressed.
    Stopping,
    /// It ran, and runs no more.
    Ended(Exit),
    /// It never ran.
    Failed(Arc<StartError>),
}

impl State {
    /// Whether nothing can follow.
    pub fn is_final(&self) -> bool {
        match self {
            State::Ended(_) | State::Failed(_) => true,
            State::Starting(_) | State::Running(_) | State::Stopping => false,
        }
    }
}

/// What exists while a machine runs.
#[derive(Clone, Debug)]
pub struct Running {
    /// How streams into the guest are opened.
    pub dialer: Dialer,
    /// The host's processes that make the machine up.
    pub processes: Vec<Process>,
    /// What runs the guest's instructions.
    pub accelerator: &'static str,
}

/// A step on a machine's way, and when it was reached.
#[derive(Clone, Debug)]
pub struct Event {
    /// Since the machine's start.
    pub after: Duration,
    /// The step.
    pub phase: Phase,
}

/// A step on a machine's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Image, shares, disk and hypervisor are looked at.
    Checking,
    /// The data disk was made.
    DiskMade {
        /// How large the guest sees it.
        bytes: u64,
    },
    /// The data disk was made larger.
    DiskGrown {
        /// How large it was.
        from: u64,
        /// How large it is.
        to: u64,
    },
    /// The processes that carry vsock streams and shares run.
    DevicesUp,
    /// The hypervisor runs, and so do the guest's processors.
    Booting {
        /// What runs their instructions.
        accelerator: &'static str,
    },
    /// An accelerator that is there cannot run the guest; another one takes over.
    FellBack {
        /// The one that cannot.
        from: &'static str,
        /// The one that does now.
        to: &'static str,
        /// What was seen.
        why: String,
    },
    /// The guest's kernel has written to its console.
    KernelSpoke,
    /// The guest's port answers.
    Ready,
    /// The power button was pressed.
    Stopping,
    /// The machine has ended.
    Ended(Exit),
    /// The machine could not be started.
    Failed(String),
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Phase::Checking => f.write_str("image, disk and hypervisor are looked at"),
            Phase::DiskMade { bytes } => write!(f, "data disk of {} GB made", gigabytes(*bytes)),
            Phase::DiskGrown { from, to } => {
                let (from, to) = (gigabytes(*from), gigabytes(*to));
                write!(f, "data disk grown from {from} to {to} GB")
            }
            Phase::DevicesUp => f.write_str("devices are up"),
            Phase::Booting { accelerator } => write!(f, "booting with {accelerator}"),
            Phase::FellBack { from, to, why } => {
                write!(
                    f,
                    "{from} cannot run the machine here ({why}); {to} does it, more slowly"
                )
            }
            Phase::KernelSpoke => f.write_str("kernel is up"),
            Phase::Ready => f.write_str("ready"),
            Phase::Stopping => f.write_str("stopping"),
            Phase::Ended(exit) => exit.fmt(f),
            Phase::Failed(why) => f.write_str(why),
        }
    }
}

fn gigabytes(bytes: u64) -> u64 {
    bytes / 1_000_000_000
}

/// How a machine that ran came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The guest turned itself off, asked or unasked.
    PoweredOff,
    /// The guest wanted to be started anew.
    Rebooted,
    /// The guest's kernel gave up.
    Panicked {
        /// The console's last lines.
        console: Vec<String>,
    },
    /// Its owner pulled the plug.
    Killed,
    /// One of its processes died under it.
    Lost {
        /// Which one.
        role: Role,
        /// Its exit status, and its last words where it had any.
        how: String,
    },
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::PoweredOff => f.write_str("the machine turned itself off"),
            Exit::Rebooted => f.write_str("the machine wants to be started anew"),
            Exit::Panicked { console } => {
                let last = console.iter().rev().find(|line| line.contains("panic"));
                let last = last.map_or("no word of it on the console", String::as_str);
                write!(f, "the machine's kernel panicked: {last}")
            }
            Exit::Killed => f.write_str("the machine was killed"),
            Exit::Lost { role, how } => write!(f, "the machine's {role} ended under it: {how}"),
        }
    }
}
