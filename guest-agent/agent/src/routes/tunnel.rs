//! `POST /proa/v1/tunnel?to=tcp:172.17.0.2:80`: how the host's side of published ports reaches a container.
//!
//! Any address will do, and none is looked up by name. A list of allowed ones would protect nothing: whoever can ask for
//! a tunnel can also start a container in this host's own network.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use hyper::{Response, StatusCode};
use proa_protocol::stream::frame;
use proa_protocol::tunnel::{Carrier, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::server::{Answer, ApiError, Body, Call, Reader, Upgrade, Writer};

/// How long the far end may take to answer; its network is a bridge of this host.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest datagram of IPv4 and IPv6 (RFC 768: sixteen bits of length).
const LARGEST: usize = 65_535;

/// Connects first, so that a refusal is an answer rather than a stream that ends.
pub(super) async fn open(mut call: Call) -> Answer {
    let target: Target = call
        .query
        .text("to")
        .parse()
        .map_err(|e| ApiError::bad(format!("open a tunnel: {e}")))?;
    if !call.wants_upgrade() {
        return Err(ApiError::bad(
            "a tunnel is an upgraded connection: send Connection: Upgrade and Upgrade: tcp",
        ));
    }
    let failed = |e: std::io::Error| {
        let words = format!("open a tunnel to {target}: {e}");
        ApiError::new(StatusCode::BAD_GATEWAY, words)
    };
    match target.carrier {
        Carrier::Tcp => {
            let stream = connect(target.address).await.map_err(failed)?;
            let upgrade = Upgrade::take(&mut call)?;
            Ok(hand_over(upgrade, move |from, to| {
                stream_both_ways(from, to, stream)
            }))
        }
        Carrier::Udp => {
            let socket = bound_to(target.address).await.map_err(failed)?;
            let upgrade = Upgrade::take(&mut call)?.in_frames();
            Ok(hand_over(upgrade, move |from, to| {
                datagrams(from, to, socket)
            }))
        }
    }
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = tokio::time::timeout(PATIENCE, TcpStream::connect(address))
        .await
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn bound_to(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

fn hand_over<F: Future<Output = std::io::Result<()>> + Send + 'static>(
    upgrade: Upgrade,
    carry: impl FnOnce(Reader, Writer) -> F + Send + 'static,
) -> Response<Body> {
    let response = upgrade.response("tcp");
    tokio::spawn(async move {
        match upgrade.streams().await {
            Ok((from, to)) => {
                if let Err(e) = carry(from, to).await {
                    tracing::debug!("a tunnel broke: {e}");
                }
            }
            Err(e) => tracing::debug!("a client left before its tunnel was open: {e}"),
        }
    });
    response
}

/// Each direction ends by itself; a broken one takes the other with it.
async fn stream_both_ways(mut from: Reader, mut to: Writer, far: TcpStream) -> std::io::Result<()> {
    let (mut far_from, mut far_to) = far.into_split();
    let inward = async {
        let mut buffer = BytesMut::new();
        copy(&mut from, &mut far_to, &mut buffer).await?;
        far_to.shutdown().await
    };
    let outward = async {
        let mut buffer = BytesMut::new();
        copy(&mut far_from, &mut to, &mut buffer).await?;
        to.shutdown().await
    };
    tokio::try_join!(inward, outward).map(drop)
}

/// Copies, and flushes whatever came: a question may wait for its answer.
async fn copy(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    buffer: &mut BytesMut,
) -> std::io::Result<()> {
    loop {
        buffer.reserve(64 << 10);
        if from.read_buf(buffer).await? == 0 {
            return Ok(());
        }
        to.write_all_buf(buffer).await?;
        to.flush().await?;
    }
}

/// Datagrams as frames, until the host ends the tunnel.
async fn datagrams(mut from: Reader, mut to: Writer, far: UdpSocket) -> std::io::Result<()> {
    let outward = async {
        let mut buffer = vec![0; LARGEST];
        loop {
            // A port that nobody listens at is told by the next call, and may be listened at later.
            let Ok(length) = far.recv(&mut buffer).await else {
                continue;
            };
            if length == 0 {
                continue;
            }
            to.write_all(&frame::header(length)).await?;
            to.write_all(&buffer[..length]).await?;
            to.flush().await?;
        }
    };
    let inward = async {
        let mut buffer = BytesMut::new();
        while let Some(length) = next_datagram(&mut from, &mut buffer).await? {
            // What cannot be sent is lost, as datagrams may be.
            let _ = far.send(&buffer[frame::HEADER..length]).await;
            buffer.advance(length);
        }
        Ok(())
    };
    tokio::select! {
        ended = inward => ended,
        broken = outward => broken,
    }
}

/// Reads until a whole frame is at the front of `buffer`; its length with the header, or none at the end.
async fn next_datagram(from: &mut Reader, buffer: &mut BytesMut) -> std::io::Result<Option<usize>> {
    loop {
        if let Some((body, used)) = frame::datagram(buffer).map_err(std::io::Error::other)? {
            return Ok(body.map(|_| used));
        }
        if from.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
