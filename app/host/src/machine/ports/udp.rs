//! Datagrams from a port of this host into the machine: a tunnel for each address that sends some.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use proa_protocol::stream::frame;
use proa_protocol::tunnel::Carrier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::Target;
use crate::machine::guest::Guest;

/// The largest datagram (RFC 768: sixteen bits of length).
const LARGEST: usize = 65_535;
/// A tunnel through which nothing passed for so long is closed, as Docker's own proxy does it.
const QUIET: Duration = Duration::from_secs(90);
/// Datagrams that wait for a tunnel; more are lost.
const WAITING: usize = 256;
/// Addresses that may have a tunnel at the same time.
const MOST: usize = 1024;

/// Carries datagrams for good.
pub(super) async fn serve(guest: Arc<Guest>, socket: UdpSocket, mut target: Target) {
    let socket = Arc::new(socket);
    let mut tunnels: HashMap<SocketAddr, mpsc::Sender<Bytes>> = HashMap::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        // An earlier answer that nobody took is told here (ICMP), and is no reason to stop.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        if target.has_changed().unwrap_or_default() {
            // The container has another address now.
            tunnels.clear();
        }
        let Some(address) = *target.borrow_and_update() else {
            continue;
        };
        if length == 0 {
            continue;
        }
        tunnels.retain(|_, tunnel| !tunnel.is_closed());
        if !tunnels.contains_key(&from) {
            if tunnels.len() >= MOST {
                continue;
            }
            let (sender, datagrams) = mpsc::channel(WAITING);
            tokio::spawn(carry(
                guest.clone(),
                socket.clone(),
                address,
                from,
                datagrams,
            ));
            tunnels.insert(from, sender);
        }
        if let Some(tunnel) = tunnels.get(&from) {
            // What finds no room is lost, as datagrams may be.
            let _ = tunnel.try_send(Bytes::copy_from_slice(&buffer[..length]));
        }
    }
}

async fn carry(
    guest: Arc<Guest>,
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    client: SocketAddr,
    mut datagrams: mpsc::Receiver<Bytes>,
) {
    let tunnel = match guest.tunnel(Carrier::Udp, address).await {
        Ok(tunnel) => tunnel,
        Err(e) => {
            tracing::debug!("datagrams to {address}: {e}");
            return;
        }
    };
    let (mut reader, mut writer) = (tunnel.reader, tunnel.writer);
    let mut buffer = BytesMut::new();
    loop {
        let passed = tokio::select! {
            datagram = datagrams.recv() => match datagram {
                Some(datagram) => send(&mut writer, &datagram).await.map(|()| true),
                None => Ok(false),
            },
            answer = answer(&mut reader, &mut buffer) => match answer {
                Ok(Some(length)) => {
                    // A client that is gone takes no answers.
                    let _ = socket.send_to(&buffer[frame::HEADER..length], client).await;
                    buffer.advance(length);
                    Ok(true)
                }
                other => other.map(|_| false),
            },
            () = tokio::time::sleep(QUIET) => Ok(false),
        };
        if !matches!(passed, Ok(true)) {
            let _ = writer.write_all(&frame::END).await;
            let _ = writer.flush().await;
            return;
        }
    }
}

async fn send(writer: &mut (impl AsyncWriteExt + Unpin), datagram: &[u8]) -> io::Result<()> {
    let framed = [&frame::header(datagram.len()), datagram].concat();
    writer.write_all(&framed).await?;
    writer.flush().await
}

/// Reads until a whole datagram is at the front of `buffer`; its length with the header. May be dropped and called again.
async fn answer(
    reader: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> io::Result<Option<usize>> {
    loop {
        if let Some((body, used)) = frame::datagram(buffer).map_err(io::Error::other)? {
            return Ok(body.map(|_| used));
        }
        if reader.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
