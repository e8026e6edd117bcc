//! What `serve` uses: the keeper's and the monitors' sockets.
//!
//! Every type here owns one non-blocking SEQPACKET socket and gives its descriptor through `AsFd`, so that an async caller
//! waits with its own reactor and then calls `receive` until it says `None`. `wait_*` block instead.

mod exits;
mod keeper;
mod monitor;

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};

pub use exits::{exec_exits, exit, forget_exec};
pub use keeper::{Keeper, Notice};
pub use monitor::{ConnectError, Monitor, Received};

pub use crate::launch::{Exit, Launch, LaunchFds, Size, Stdin, Streams};
pub use crate::monitor::message::{
    Event, ExecLaunch, Hello, Message, Refusal, Reply, Request, RunningExec, Started, Target,
};
pub use crate::start_error::StartError;

/// Blocks until a socket is ready or the deadline has passed, which is `TimedOut`.
fn wait_for(socket: impl AsFd, flags: PollFlags, deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let timeout = match deadline {
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Some(Timespec {
                    tv_sec: left.as_secs() as i64,
                    tv_nsec: i64::from(left.subsec_nanos()),
                })
            }
            None => None,
        };
        let mut polled = [PollFd::from_borrowed_fd(socket.as_fd(), flags)];
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}
