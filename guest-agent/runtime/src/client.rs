//! What `serve` uses: the keeper's and the monitors' sockets.
//!
//! Every type here owns one non-blocking SEQPACKET socket and gives its descriptor through `AsFd`, so that an async caller
//! waits with its own reactor and then calls `receive` until it says `None`. `wait_*` and `call` block instead.

mod exits;
mod keeper;
mod monitor;

pub use exits::{exec_exits, exit, forget_exec};
pub use keeper::{Keeper, Notice};
pub use monitor::{ConnectError, Monitor, Received};

pub use crate::launch::{Exit, Launch, Size, Stdin, Streams};
pub use crate::monitor::message::{
    Event, ExecLaunch, Hello, Message, Refusal, Reply, Request, RunningExec, Started, Target,
};
pub use crate::start_error::StartError;
