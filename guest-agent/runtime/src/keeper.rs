//! The service's main process: tiny, single-threaded, holds what must outlive `serve`, and spawns everything.
//!
//! ```text
//! main ─ keeper::enter(listeners, serve's arguments) ─▶ re-executes itself from a sealed copy
//!           │
//!           ▼ role() == Some(Role::Keeper)        ▼ role() == Some(Role::Serve)
//!        keeper::run()                          Inherited::take(): listeners and the Keeper client
//! ```
//! The binary's `main` asks [`role`] before anything else.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;

use crate::client;

/// What this process is, by what the keeper put into its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The keeper, after it re-executed itself: call [`run`].
    Keeper,
    /// The API server: call [`Inherited::take`], then parse the command line as it was given to the keeper.
    Serve,
}

/// What this process is; `None`: started by a user.
pub fn role() -> Option<Role> {
    None
}

/// Becomes the keeper: makes a sealed copy of the running program, executes it, hands the listeners on. `arguments` are
/// those of `serve` (without the program's name), given to it each time it is started.
pub fn enter(listeners: Vec<OwnedFd>, arguments: &[OsString]) -> io::Result<Infallible> {
    let _ = (listeners, arguments);
    Err(io::ErrorKind::Unsupported.into())
}

/// The keeper's life. Returns the exit code after an orderly stop.
pub fn run() -> u8 {
    1
}

/// What `serve` inherits.
#[derive(Debug)]
pub struct Inherited {
    /// The listeners, in the order they were given to [`enter`]. Close-on-exec is set again.
    pub listeners: Vec<OwnedFd>,
    /// The keeper.
    pub keeper: client::Keeper,
}

impl Inherited {
    /// Takes over what the keeper handed down. To be called once, at the start of `main`, in the role [`Role::Serve`].
    pub fn take() -> io::Result<Inherited> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
