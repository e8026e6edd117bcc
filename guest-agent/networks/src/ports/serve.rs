//! Carrying connections from a reserved port to an endpoint, in this process. The kernel's translation takes nearly all
//! packets before they get here; what comes is for `::1`, and of the family that the endpoint does not have.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::Protocol;

/// How long a sender of UDP packets is remembered after the last one; the kernel's own time for streams
/// (`nf_conntrack_udp_timeout_stream`).
const UDP_IDLE: Duration = Duration::from_mins(2);
/// How many senders are remembered: beyond, new ones are not served until others fall silent.
const UDP_PEERS: usize = 4096;
/// How many packets wait for their endpoint.
const UDP_WAITING: usize = 64;
/// The pause after a failed accept, as with too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Begins to serve a socket that is bound.
pub(super) fn serve(
    protocol: Protocol,
    socket: OwnedFd,
    to: SocketAddr,
) -> io::Result<JoinHandle<()>> {
    match protocol {
        Protocol::Tcp => {
            let listener = std::net::TcpListener::from(socket);
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            Ok(tokio::spawn(serve_tcp(listener, to)))
        }
        Protocol::Udp => {
            let socket = std::net::UdpSocket::from(socket);
            socket.set_nonblocking(true)?;
            let socket = UdpSocket::from_std(socket)?;
            Ok(tokio::spawn(serve_udp(Arc::new(socket), to)))
        }
        // Only held: the kernel carries SCTP, and there is no way around it.
        Protocol::Sctp => Ok(tokio::spawn(async move {
            let _held = socket;
            std::future::pending::<()>().await;
        })),
    }
}

/// The connections are in a set that ends with this task.
async fn serve_tcp(listener: TcpListener, to: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(carry(stream, to));
                }
                Err(error) => {
                    tracing::debug!(%error, %to, "accepting a connection failed");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Both directions until both have ended; the end of one is passed on while the other goes on.
async fn carry(mut from: TcpStream, to: SocketAddr) {
    let Ok(mut endpoint) = TcpStream::connect(to).await else {
        // As the endpoint itself would: nobody listens there.
        reset(&from);
        return;
    };
    from.set_nodelay(true).ok();
    endpoint.set_nodelay(true).ok();
    tokio::io::copy_bidirectional_with_sizes(&mut from, &mut endpoint, 64 << 10, 64 << 10)
        .await
        .ok();
}

/// Closing with a linger time of zero sends a reset (`socket(7)`).
fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).ok();
}

/// One socket for each sender, so that answers find back.
async fn serve_udp(socket: Arc<UdpSocket>, to: SocketAddr) {
    let mut peers: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut packet = vec![0; 64 << 10];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut packet) => {
                // An error here is about a packet sent before (ICMP), not about this socket.
                let Ok((length, peer)) = received else { continue };
                if !peers.contains_key(&peer) && peers.len() < UDP_PEERS {
                    let (sender, packets) = mpsc::channel(UDP_WAITING);
                    tasks.spawn(answer(Arc::clone(&socket), peer, to, packets));
                    peers.insert(peer, sender);
                }
                if let Some(sender) = peers.get(&peer) {
                    // A full queue loses packets, as a full socket does.
                    sender.try_send(packet[..length].to_vec()).ok();
                }
            }
            Some(ended) = tasks.join_next() => {
                if let Ok(peer) = ended {
                    peers.remove(&peer);
                }
            }
        }
    }
}

async fn answer(
    socket: Arc<UdpSocket>,
    peer: SocketAddr,
    to: SocketAddr,
    mut packets: mpsc::Receiver<Vec<u8>>,
) -> SocketAddr {
    if let Ok(endpoint) = connect(to).await {
        let mut packet = vec![0; 64 << 10];
        loop {
            let heard = timeout(UDP_IDLE, async {
                tokio::select! {
                    Some(out) = packets.recv() => endpoint.send(&out).await.ok().map(|_| None),
                    received = endpoint.recv(&mut packet) => Some(received.ok()),
                }
            });
            match heard.await {
                Ok(Some(Some(length))) => {
                    socket.send_to(&packet[..length], peer).await.ok();
                }
                // Sent, or refused by an endpoint that may listen later.
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
    peer
}

async fn connect(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(to).await?;
    Ok(socket)
}
