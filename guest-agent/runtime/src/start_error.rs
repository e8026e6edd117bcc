//! Why a process did not start: the step that failed, on which object, and the kernel's word for it.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// A process could not be started; nothing of it is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {}", self.attempt(), Errno(self.errno))]
pub struct StartError {
    /// What was attempted.
    pub step: Step,
    /// The path or name it was attempted on; may be empty.
    pub object: String,
    /// The kernel's error number.
    pub errno: i32,
}

impl StartError {
    /// A step that failed on an object.
    pub fn new(step: Step, object: impl Into<String>, error: &io::Error) -> Self {
        Self {
            step,
            object: object.into(),
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        }
    }

    /// Step and object: `mount /data`.
    pub fn attempt(&self) -> String {
        if self.object.is_empty() {
            self.step.to_string()
        } else {
            format!("{} {}", self.step, self.object)
        }
    }

    /// The exit code that stands for this failure: 127 for a command that is not there, 126 for one that cannot be
    /// executed, 128 for everything before it.
    pub fn exit_code(&self) -> i32 {
        match (self.step, self.errno) {
            (Step::Execute, libc::ENOENT | libc::ENOTDIR) => 127,
            (Step::Execute, _) => 126,
            _ => 128,
        }
    }

    /// The failure as an `io::Error`.
    pub fn io(&self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

/// The steps between the request and `execve`. `Display` is the words a user reads before the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Reading the plan.
    Plan,
    /// Making the process.
    Clone,
    /// Entering its cgroup.
    Cgroup,
    /// Joining a namespace, by its path.
    JoinNamespace,
    /// Making a namespace.
    NewNamespace,
    /// Writing the maps of a user namespace.
    MapIds,
    /// Making the root file system.
    Root,
    /// A mount, by its container path.
    Mount,
    /// The source of a mount, by its host path.
    MountSource,
    /// A device node, by its container path.
    Device,
    /// A masked or read-only path.
    Protect,
    /// Changing into the root.
    Pivot,
    /// A kernel setting, by name.
    Sysctl,
    /// Host or domain name.
    Hostname,
    /// The loopback device.
    Loopback,
    /// The terminal.
    Terminal,
    /// Standard input, output or error.
    Stdio,
    /// A hook, by its program.
    Hook,
    /// The session keyring.
    Keyring,
    /// A resource limit, by number.
    Limit,
    /// Scheduling class, priorities, affinity, OOM score.
    Scheduling,
    /// User, groups.
    User,
    /// Capability sets.
    Capabilities,
    /// AppArmor or SELinux label.
    Label,
    /// System call filter.
    Seccomp,
    /// Working directory.
    WorkingDirectory,
    /// `execve`, by the command as it was given.
    Execute,
    /// The conversation between parent and child broke off.
    Handshake,
    /// The monitor, which is to be the process's parent.
    Monitor,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plan => "read the plan",
            Self::Clone => "clone",
            Self::Cgroup => "enter cgroup",
            Self::JoinNamespace => "join namespace",
            Self::NewNamespace => "make namespaces",
            Self::MapIds => "map ids",
            Self::Root => "mount the root file system",
            Self::Mount => "mount",
            Self::MountSource => "bind source path",
            Self::Device => "make device",
            Self::Protect => "protect path",
            Self::Pivot => "change root",
            Self::Sysctl => "set sysctl",
            Self::Hostname => "set host name",
            Self::Loopback => "bring up the loopback device",
            Self::Terminal => "open a terminal",
            Self::Stdio => "connect standard streams",
            Self::Hook => "run hook",
            Self::Keyring => "join a session keyring",
            Self::Limit => "set resource limit",
            Self::Scheduling => "set scheduling",
            Self::User => "change user",
            Self::Capabilities => "set capabilities",
            Self::Label => "change label",
            Self::Seccomp => "load the seccomp filter",
            Self::WorkingDirectory => "change to working directory",
            Self::Execute => "exec",
            Self::Handshake => "hear from the first process",
            Self::Monitor => "start the monitor",
        })
    }
}

/// An error number in the words of `strerror`, lower case, without the number.
struct Errno(i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = io::Error::from_raw_os_error(self.0).to_string();
        let words = text.split(" (os error").next().unwrap_or(&text);
        let mut letters = words.chars();
        let first = letters.next().map(|letter| letter.to_ascii_lowercase());
        write!(f, "{}{}", first.unwrap_or('?'), letters.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_step_the_object_and_the_reason() {
        let error = StartError {
            step: Step::Mount,
            object: "/data".into(),
            errno: libc::ENOENT,
        };
        assert_eq!(error.to_string(), "mount /data: no such file or directory");
        assert_eq!(error.exit_code(), 128);
    }

    #[test]
    fn a_missing_command_is_127_and_one_that_cannot_run_is_126() {
        let exec = |errno| {
            StartError {
                step: Step::Execute,
                object: "x".into(),
                errno,
            }
            .exit_code()
        };
        assert_eq!(exec(libc::ENOENT), 127);
        assert_eq!(exec(libc::EACCES), 126);
        assert_eq!(exec(libc::ENOEXEC), 126);
    }
}
