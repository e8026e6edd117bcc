//! Streams from a port of this host into the machine.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proa_protocol::tunnel::Carrier;
use tokio::net::{TcpListener, TcpStream};

use super::Target;
use crate::error::told;
use crate::machine::guest::Guest;
use crate::machine::relay;

/// Accepts connections for good; they wait in the kernel until the container runs.
pub(super) async fn serve(guest: Arc<Guest>, listener: TcpListener, mut target: Target) {
    loop {
        let address = match target.wait_for(Option::is_some).await {
            Ok(address) => *address,
            Err(_) => return,
        };
        let Some(address) = address else { return };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // The container may have moved to another address while we waited.
                    let address = target.borrow().unwrap_or(address);
                    tokio::spawn(carry(guest.clone(), stream, address));
                }
                Err(e) => {
                    tracing::warn!("accept a connection to a published port: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            changed = target.changed() => if changed.is_err() { return },
        }
    }
}

async fn carry(guest: Arc<Guest>, stream: TcpStream, address: SocketAddr) {
    if let Err(e) = carried(&guest, stream, address).await {
        tracing::debug!("a stream to {address}: {e}");
    }
}

async fn carried(guest: &Guest, stream: TcpStream, address: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let tunnel = guest.tunnel(Carrier::Tcp, address).await;
    let tunnel = match tunnel {
        Ok(tunnel) => tunnel,
        Err(e) => {
            // The client sees a connection that is reset, as it does where nobody listens.
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
            return Err(io::Error::other(told(&e)));
        }
    };
    relay::both_ways(stream.into_split(), (tunnel.reader, tunnel.writer)).await
}
