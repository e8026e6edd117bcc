//! Why a machine did not start.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a machine did not start. The message says what to do where there is something to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The hypervisor is not installed.
    #[error("{program} is not installed; {advice}")]
    HypervisorMissing {
        /// The program that was looked for on PATH.
        program: String,
        /// How to get it on this system.
        advice: String,
    },
    /// A boot file is missing.
    #[error("the machine's image lacks {path}; make it with `scripts/dev image`, or install the product again", path = .path.display())]
    ImageMissing {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The boot files do not fit this program or this computer.
    #[error("the machine's image in {path} cannot be used: {why}", path = .path.display())]
    ImageUnfit {
        /// The folder.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// The file system that holds the data disk is full.
    #[error(
        "no space for the data disk {path}: {free} MB are free and {needed} MB are needed to start; free some space",
        path = .path.display()
    )]
    NoSpace {
        /// The disk's file.
        path: PathBuf,
        /// Megabytes that are free.
        free: u64,
        /// Megabytes that are needed.
        needed: u64,
    },
    /// Another machine uses the data disk.
    #[error("the data disk {path} is in use by another machine; stop that one first", path = .path.display())]
    DiskInUse {
        /// The disk's file.
        path: PathBuf,
    },
    /// The data disk's file cannot be made, opened or grown.
    #[error("{doing} the data disk {path}", path = .path.display())]
    Disk {
        /// What was attempted.
        doing: &'static str,
        /// The disk's file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The data disk's file is something else.
    #[error("the data disk {path} is not one: {why}", path = .path.display())]
    DiskUnfit {
        /// The disk's file.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// A share's folder is not there.
    #[error("the folder {path} cannot be shared", path = .path.display())]
    Share {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What was asked for makes no machine.
    #[error("no machine can be made so: {why}")]
    Unfit {
        /// What is wrong.
        why: String,
    },
    /// A file or socket that a machine needs while it runs cannot be made.
    #[error("{doing} {path}", path = .path.display())]
    Files {
        /// What was attempted.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The wanted accelerator does not work here.
    #[error("{accelerator} cannot run the machine: {why}")]
    Accelerator {
        /// Its name.
        accelerator: &'static str,
        /// What happened.
        why: String,
    },
    /// A process of the machine could not be started.
    #[error("start {program} for the machine", program = .program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A process of the machine ended while the machine was starting.
    #[error("the machine's {process} ended ({how}) before the machine was up{}", .said.shown())]
    ProcessEnded {
        /// Which one.
        process: String,
        /// Its exit status.
        how: String,
        /// Its last words, and the console's.
        said: Said,
    },
    /// The hypervisor does not speak as it should.
    #[error("talk to {hypervisor}")]
    Control {
        /// Its name.
        hypervisor: &'static str,
        /// What went wrong.
        source: io::Error,
    },
    /// The guest's kernel gave up.
    #[error("the machine's kernel panicked{}", .said.shown())]
    Panicked {
        /// The console's last lines.
        said: Said,
    },
    /// The guest ended by itself.
    #[error("the machine turned itself off before it was up{}", .said.shown())]
    Ended {
        /// The console's last lines.
        said: Said,
    },
    /// Nothing went wrong, only nothing went on.
    #[error("the machine was not up after {} s; it got as far as: {reached}{}", .after.as_secs(), .said.shown())]
    TimedOut {
        /// The last phase that was reached.
        reached: String,
        /// How long was waited.
        after: Duration,
        /// The console's last lines.
        said: Said,
    },
    /// The owner did not want it any more.
    #[error("the start of the machine was called off")]
    CalledOff,
}

/// Last words: of a process, of a guest's console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said(pub Vec<String>);

impl Said {
    fn shown(&self) -> String {
        let lines = self.0.iter().map(|line| format!("\n  {line}"));
        if self.0.is_empty() {
            String::new()
        } else {
            format!("; its last words:{}", lines.collect::<String>())
        }
    }
}
