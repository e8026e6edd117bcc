//! Requests that turn their connection into a stream: attach, exec, tunnels, builds. Towards the machine it goes in
//! frames, because not every way there can close half of a stream.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, EXPECT, HeaderValue, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use proa_protocol::stream::frame;
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::Refusal;
use super::body::Body;
use super::forward::{broken, connect, strip};
use crate::machine::relay;
use crate::machine::supervisor::{Busy, Up};

/// How often a client with a stream is looked at: one that sends no more may have gone altogether.
const LOOK: Duration = Duration::from_secs(5);

/// Passes the request on, and then the stream.
pub(super) async fn pass(
    up: &Up,
    mut request: Request<Incoming>,
    busy: Busy,
) -> Result<Response<Body>, Refusal> {
    let client = hyper::upgrade::on(&mut request);
    let mut sender = connect(&up.dialer).await?;
    let request = asking_for_frames(request.map(Body::from));
    let sent = sender.send_request(request).await;
    let mut response = sent.map_err(|e| broken(&e))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        strip(response.headers_mut());
        return Ok(response.map(|body| Body::busy(body, busy)));
    }
    let framed = response.headers_mut().remove(frame::NAME).is_some();
    let engine = hyper::upgrade::on(&mut response);
    tokio::spawn(async move {
        if let Err(e) = carry(client, engine, framed).await {
            tracing::debug!("a stream broke: {e}");
        }
        drop(busy);
    });
    Ok(response.map(|_| Body::whole(Bytes::new())))
}

fn asking_for_frames(mut request: Request<Body>) -> Request<Body> {
    let upgrade = request.headers().get(UPGRADE).cloned();
    let headers = request.headers_mut();
    strip(headers);
    headers.remove(EXPECT);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade);
    }
    headers.insert(frame::NAME, HeaderValue::from_static(frame::VALUE));
    request
}

async fn carry(client: OnUpgrade, engine: OnUpgrade, framed: bool) -> io::Result<()> {
    let mut engine = TokioIo::new(engine.await.map_err(io::Error::other)?);
    let (early, mut client) = bare(client.await.map_err(io::Error::other)?)?;
    if !framed {
        engine.write_all(&early).await?;
        let copied = tokio::io::copy_bidirectional(&mut client, &mut engine).await;
        return copied.map(drop);
    }
    let gone = hung_up(&client)?;
    let (from, to) = client.into_split();
    let from = AsyncReadExt::chain(io::Cursor::new(early), from);
    tokio::select! {
        ended = relay::both_ways((from, to), tokio::io::split(engine)) => ended,
        gone = gone => gone,
    }
}

/// The client's socket, and what it had sent already.
fn bare(client: Upgraded) -> io::Result<(Bytes, UnixStream)> {
    let parts = client.downcast::<TokioIo<UnixStream>>();
    let parts = parts.map_err(|_| io::Error::other("a client at something else than a socket"))?;
    Ok((parts.read_buf, parts.io.into_inner()))
}

/// Returns once the client has closed its socket, rather than half of it: reading from it cannot tell (`POLLHUP`, poll(2)).
fn hung_up(client: &UnixStream) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
    use std::os::fd::AsFd as _;
    let socket = client.as_fd().try_clone_to_owned()?;
    Ok(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut asked = [PollFd::new(&socket, PollFlags::empty())];
            rustix::event::poll(&mut asked, Some(&Timespec::default()))?;
            if asked[0].revents().intersects(PollFlags::HUP) {
                return Ok(());
            }
        }
    })
}
