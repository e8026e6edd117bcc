//! Timing: connections to the same socket by ways that differ in one hop each.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use proa_kernel::network::NetworkNamespace;
use proa_kernel::tcp;
use proa_protocol::xray::Probe;

/// The quickest of these counts: the others were interrupted by something.
const TRIES: usize = 3;
/// Between them: a server with room for a few waiting connections (busybox' has it for nine) shall not be full of ours.
const PAUSE: Duration = Duration::from_millis(10);
/// A handshake on one machine takes less than a millisecond; one whose first packet was lost, a second more.
const PATIENCE: Duration = Duration::from_millis(1500);

/// From the container to itself: no interface but loopback, and the socket.
pub(super) fn inside(namespace: &NetworkNamespace, to: SocketAddr) -> Probe {
    report("inside", to, namespace.inside(|| quickest(to)))
}

/// From the host: with the bridge and the veth pair, and with the translation if `to` is the host's own.
pub(super) fn from_host(way: &str, to: SocketAddr) -> Probe {
    report(way, to, quickest(to))
}

/// The kernel's own clock, read from each connection: what this process and its threads do meanwhile is not in it.
fn quickest(to: SocketAddr) -> io::Result<Duration> {
    let mut best = once(to)?;
    for _ in 1..TRIES {
        std::thread::sleep(PAUSE);
        // It was answered once, so there is a time.
        best = once(to).map_or(best, |took| took.min(best));
    }
    Ok(best)
}

fn once(to: SocketAddr) -> io::Result<Duration> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    tcp::round_trip(&stream)
}

fn report(way: &str, to: SocketAddr, measured: io::Result<Duration>) -> Probe {
    let (nanoseconds, error) = match measured {
        Ok(took) => (Some(took.as_nanos() as u64), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Probe {
        way: way.to_owned(),
        to: to.to_string(),
        nanoseconds,
        error,
    }
}
