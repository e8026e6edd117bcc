//! What `serve` hands over to have a container's first process started: a plain value, sent in a memfd.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::log::LogSink;
use crate::plan::Plan;

/// Everything a monitor needs to know of its container, besides descriptors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// The container's id; names the monitor in what the keeper reports.
    pub id: String,
    /// The container's folder of running state (`/run/proa/containers/<id>`); the monitor makes it if missing.
    pub run_dir: PathBuf,
    /// What the first process does before `execve`.
    pub plan: Plan,
    /// Where the first process reads from.
    pub stdin: Stdin,
    /// Where its output is recorded.
    pub log: LogSink,
    /// Path of the container's cgroup, which the keeper kills if the monitor dies.
    pub cgroup: Option<String>,
}

/// Descriptors that go with a [`Launch`]. All are borrowed: the caller closes its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct LaunchFds<'a> {
    /// Stream sockets that get output from the first byte on.
    pub attaches: &'a [(Streams, BorrowedFd<'a>)],
    /// The version 2 cgroup's directory, for the first process and every exec to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The `tasks` files (opened for writing) of the version 1 cgroups.
    pub cgroup1_tasks: &'a [BorrowedFd<'a>],
    /// Namespaces to join beside those the plan names by path, as `CLONE_NEW*` bit and descriptor.
    pub namespaces: &'a [(u32, BorrowedFd<'a>)],
    /// Becomes readable when the cgroup may have run out of memory: makes `Event::Oom`.
    pub oom_watch: Option<BorrowedFd<'a>>,
    /// The cgroup's `memory.events` (version 1: `memory.oom_control`), opened for reading: makes `Exit::oom_killed`.
    pub oom_counter: Option<BorrowedFd<'a>>,
}

/// Where a process reads its standard input from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// A pipe or the terminal; stays open when a client lets go of it.
    Open,
    /// As `Open`; closed with the first client that attached to it (the client says so with `CloseStdin`).
    Once,
}

impl Stdin {
    /// Whether there is anything to write to.
    pub fn is_open(self) -> bool {
        !matches!(self, Stdin::Null)
    }
}

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines of text.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// Which output streams an attached client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    /// Standard output, and everything a terminal shows.
    pub stdout: bool,
    /// Standard error; nothing comes of it where there is a terminal.
    pub stderr: bool,
}

impl Streams {
    /// Both streams.
    pub const BOTH: Streams = Streams {
        stdout: true,
        stderr: true,
    };
}

/// How a process ended. Written to `<run dir>/exit` for the first process, to `<run dir>/execs/<exec id>`
/// for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code as Docker counts: 128 and the signal's number for a process that was killed.
    pub code: i32,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// When, in nanoseconds since 1970.
    pub time: i64,
    /// Whether the kernel killed a process of the container for want of memory.
    pub oom_killed: bool,
}

impl Exit {
    /// Exit of a container whose monitor is gone, so that nobody saw how it ended.
    pub fn unseen(time: i64) -> Exit {
        Exit {
            code: 137,
            signal: Some(9),
            time,
            oom_killed: false,
        }
    }
}

/// The monitor's socket in a container's folder of running state.
pub fn monitor_socket(run_dir: &Path) -> PathBuf {
    run_dir.join("monitor.sock")
}

/// The same with a path that fits a socket address, however long the folder's own is: valid while the returned descriptor
/// is open.
pub(crate) fn short_monitor_socket(run_dir: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(run_dir, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/monitor.sock", dir.as_raw_fd());
    Ok((dir, path.into()))
}

/// The first process's exit record.
pub fn exit_file(run_dir: &Path) -> PathBuf {
    run_dir.join("exit")
}

/// The folder of the execs' exit records, one file each.
pub fn exec_exits_dir(run_dir: &Path) -> PathBuf {
    run_dir.join("execs")
}
