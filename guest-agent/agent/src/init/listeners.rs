//! Where the machine's API is served: to its host by vsock, inside by a unix socket.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use proa_kernel::vsock;

use super::command_line::CommandLine;
use super::console;
use crate::listen;

/// The address inside the machine.
pub(super) const UNIX: &str = "unix:///run/proa/proa.sock";
/// The port at which the host finds the API.
const PORT: u32 = 1024;

/// Opens them. `proa.listen=HOST:PORT` on the command line adds a TCP socket that asks for no certificate; it is for tests
/// without vsock: whoever is in the machine's network is its master then.
pub(super) fn all(words: &CommandLine) -> Vec<OwnedFd> {
    let mut opened = Vec::new();
    match vsock::listen(PORT) {
        Ok(listener) => opened.push(listener),
        Err(error) => console::say(&format!("listen at vsock port {PORT}: {error}")),
    }
    match listen::open(&[UNIX.to_owned()], None, false) {
        Ok(listeners) => opened.extend(listeners),
        Err(error) => console::say(&format!("listen at {UNIX}: {}", crate::log::told(&error))),
    }
    for address in words.all("proa.listen") {
        match TcpListener::bind(address) {
            Ok(listener) => opened.push(listener.into()),
            Err(error) => console::say(&format!("listen at {address}: {error}")),
        }
    }
    opened
}
