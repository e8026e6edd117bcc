//! The dialogue between `serve` and a monitor, in the order it happens.
//!
//! Each message is one packet of a SEQPACKET socket: a sequence number and a body, as postcard bytes.
//! Descriptors travel beside it. Variants are only ever added at an enum's end, and structs never change, because a
//! monitor outlives upgrades; a change that cannot be made so raises [`VERSION`].

use serde::{Deserialize, Serialize};

use crate::launch::{Exit, Size, Streams};
use crate::plan::ExecPlan;
use crate::start_error::StartError;

/// Version of this dialogue.
pub const VERSION: u32 = 1;

/// What a client asks; each is answered with one [`Reply`] that carries the same sequence number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// First on every connection made by `connect`; answered with [`Reply::Hello`].
    Hello {
        /// The client's [`VERSION`].
        version: u32,
    },
    /// Sends the output from now on to the accompanying stream socket, in Docker's stream format (raw where the
    /// container has a terminal). Answered with [`Reply::Attached`] and, where `stdin` asks for it and it is open, a
    /// descriptor to write to (non-blocking).
    Attach {
        /// The wanted output; none of them: no descriptor accompanies the request.
        streams: Streams,
        /// Whether a descriptor for standard input is wanted.
        stdin: bool,
    },
    /// Starts a process in the container. Descriptors: a memfd with the encoded [`ExecLaunch`], then, where any output is
    /// wanted, a stream socket as for `Attach`. Answered with [`Reply::ExecStarted`].
    Exec,
    /// Changes a terminal's size.
    Resize {
        /// Whose terminal.
        target: Target,
        /// The new size.
        size: Size,
    },
    /// Closes the monitor's own descriptor of the first process's standard input.
    CloseStdin,
    /// Sends a signal.
    Signal {
        /// To which process.
        target: Target,
        /// The signal's number.
        signal: i32,
    },
}

/// A process of the container that the monitor started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The container's first process.
    Init,
    /// The exec of that id.
    Exec(String),
}

/// A process to be started beside the first one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecLaunch {
    /// The exec's id; at most one of that name runs at a time.
    pub id: String,
    /// What it does before `execve`.
    pub plan: ExecPlan,
    /// Whether a descriptor for standard input is wanted; `/dev/null` otherwise.
    pub stdin: bool,
    /// The wanted output; what is not wanted is read and dropped.
    pub streams: Streams,
}

/// What a monitor sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// First on the connection a container was launched with.
    Launched(Result<Started, StartError>),
    /// The answer to a request.
    Reply(Result<Reply, Refusal>),
    /// Something happened; sent to every connection.
    Event(Event),
}

/// A container's first process runs. Comes with a descriptor for its standard input, where that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Process id in the monitor's PID namespace.
    pub pid: u32,
    /// When it started, in nanoseconds since 1970.
    pub time: i64,
    /// Process id of the monitor.
    pub monitor: u32,
}

/// Answers to requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To `Hello`.
    Hello(Hello),
    /// To `Attach`; the descriptor for standard input comes with it.
    Attached,
    /// To `Exec`; the descriptor for standard input comes with it.
    ExecStarted {
        /// Process id of the exec.
        pid: u32,
    },
    /// To requests that have nothing to tell.
    Done,
}

/// What a monitor says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The monitor's [`VERSION`].
    pub version: u32,
    /// The container's first process.
    pub started: Started,
    /// How the first process ended, while the monitor still delivers output.
    pub exit: Option<Exit>,
    /// Running execs. Those that ended are found in `<run dir>/execs`.
    pub execs: Vec<RunningExec>,
}

/// An exec that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningExec {
    /// The id it was launched with.
    pub id: String,
    /// Its process id.
    pub pid: u32,
}

/// Things that happen to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The first process ended, its output is in the log, the exit record is written. Attached streams may still be
    /// delivering.
    Exited(Exit),
    /// An exec ended and its output was handed to its stream.
    ExecExited {
        /// The id it was launched with.
        id: String,
        /// How it ended.
        exit: Exit,
    },
    /// The kernel killed a process of the container for want of memory.
    Oom,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The request did not decode, or descriptors were missing.
    #[error("the monitor does not understand the request")]
    Malformed,
    /// The first process has ended.
    #[error("the container is not running")]
    NotRunning,
    /// No running exec has that id.
    #[error("no running exec {0}")]
    NoSuchExec(String),
    /// An exec of that id is running.
    #[error("exec {0} is running already")]
    ExecRuns(String),
    /// The target has no terminal.
    #[error("the process has no terminal")]
    NoTerminal,
    /// The exec could not be started.
    #[error("start a process in the container")]
    Start(#[source] StartError),
    /// A system call failed.
    #[error("{what}: error {errno}")]
    System {
        /// What was attempted.
        what: String,
        /// The kernel's error number.
        errno: i32,
    },
}
