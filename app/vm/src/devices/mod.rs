//! Devices of a machine that are processes of ours: QEMU leaves them to whoever speaks vhost-user with it.
//!
//! Each is a hidden verb of the product's own program, so that nothing but QEMU has to be installed. Its sockets are
//! made by the parent, which hands them over as standard input and output: nobody waits for a socket to appear, and
//! none is left behind by a device that dies. A device ends when QEMU hangs up or its parent dies.
//!
//! Start at [`run`].

mod share;
mod vsock;

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;

use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};

pub(crate) use share::Serving;

/// The hidden verb that carries vsock streams.
pub const VSOCK_VERB: &str = "vhost-vsock";
/// The hidden verb that serves a share.
pub const SHARE_VERB: &str = "virtiofs";

/// The guest's memory as vhost-user shares it.
type Memory = GuestMemoryAtomic<GuestMemoryMmap>;

/// Why a device does not work.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Called by hand, or by a program of another version.
    #[error("this verb is for the machine's own use; it does not know {0:?}")]
    Usage(OsString),
    /// A call to the operating system failed.
    #[error("{doing}")]
    System {
        /// What was attempted.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The loop around the device failed.
    #[error("{doing}: {said}")]
    Loop {
        /// What was attempted.
        doing: &'static str,
        /// What it said.
        said: String,
    },
}

impl DeviceError {
    fn system(doing: &'static str) -> impl Fn(io::Error) -> DeviceError {
        move |source| DeviceError::System { doing, source }
    }

    fn looped(doing: &'static str, said: impl std::fmt::Debug) -> DeviceError {
        DeviceError::Loop {
            doing,
            said: format!("{said:?}"),
        }
    }
}

/// Is the device that `verb` names until its machine ends. `words` are what followed the verb.
pub fn run(verb: &str, words: &[OsString]) -> Result<(), DeviceError> {
    match (verb, words) {
        (VSOCK_VERB, []) => vsock::run(),
        (SHARE_VERB, words) => share::run(&Serving::from_words(words)?),
        (verb, _) => Err(DeviceError::Usage(verb.into())),
    }
}

/// The listening socket that the parent made our standard input or output.
fn inherited(fd: impl std::os::fd::AsFd) -> Result<UnixListener, DeviceError> {
    let socket: OwnedFd = fd
        .as_fd()
        .try_clone_to_owned()
        .map_err(DeviceError::system("take over a socket"))?;
    let is_socket = rustix::net::sockopt::socket_acceptconn(&socket);
    match is_socket {
        Ok(true) => Ok(socket.into()),
        Ok(false) | Err(_) => Err(DeviceError::Usage("no listening socket".into())),
    }
}

/// The machine's side of the device, at our standard input.
fn machine_side() -> Result<UnixListener, DeviceError> {
    inherited(io::stdin().as_fd())
}
