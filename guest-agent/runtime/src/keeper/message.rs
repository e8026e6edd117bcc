//! The dialogue between `serve` and the keeper. Both are always the same binary.

use serde::{Deserialize, Serialize};

use crate::launch::Streams;

/// What `serve` asks; only a launch that fails is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToKeeper {
    /// Makes a monitor. Descriptors: a memfd with the encoded `Launch`, the monitor's end of its first
    /// connection, then those that `uses` says.
    Launch {
        id: String,
        cgroup: Option<String>,
        uses: Vec<Use>,
    },
    /// Keeps the accompanying descriptor beyond this `serve`'s end.
    Keep { name: String },
    /// Forgets one.
    Release { name: String },
    /// `serve` accepts connections.
    Serving,
    /// Kills a monitor that hangs; its end is told as any other.
    End { id: String },
}

/// What a descriptor that goes with a launch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Use {
    /// A client's stream socket.
    Attach(Streams),
    /// The version 2 cgroup's directory.
    Cgroup,
    /// The `tasks` file of a version 1 cgroup.
    Cgroup1Tasks,
    /// A namespace of that kind to join.
    Namespace(u32),
    /// Becomes readable when memory may have run out.
    OomWatch,
    /// Counts the kernel's kills.
    OomCounter,
}

/// What the keeper tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromKeeper {
    /// A monitor's process ended, with an exit record written or not.
    MonitorEnded {
        id: String,
        monitor: u32,
        recorded: bool,
    },
    /// A descriptor kept for an earlier `serve`.
    Kept { name: String },
    /// All of them were sent.
    Ready,
    /// The keeper was asked to stop.
    Stop,
}
