//! A connection that stops being HTTP: after the head it carries a process's streams, both ways.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use proa_engine::container::attach::{Attached, Input};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::answer::{self, Answer};
use super::body::Body;
use super::{ApiError, Call};

/// The type of a terminal's bytes.
pub(crate) const RAW: &str = "application/vnd.docker.raw-stream";
/// The type of framed bytes.
pub(crate) const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";

/// How long a client may go on sending to a process that has ended, so that its kernel does not report a broken
/// connection before it read the last output.
const LINGER: Duration = Duration::from_secs(1);

/// Hands the connection over to a process's streams.
pub(crate) fn hijack(mut call: Call, attached: Attached) -> Answer {
    if !call.wants_upgrade() {
        return over_http(call, attached);
    }
    let Some(upgrade) = call.head.extensions.remove::<OnUpgrade>() else {
        return Err(ApiError::bad("this connection cannot be upgraded"));
    };
    let kind = if attached.tty || !call.speaks(42) {
        RAW
    } else {
        MULTIPLEXED
    };
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => carry(connection, attached).await,
            Err(e) => tracing::debug!("a client left before its connection was upgraded: {e}"),
        }
    });
    let mut response = Response::new(Body::EMPTY);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    Ok(response)
}

/// For a client that asked for no upgrade: the request's body goes in, the answer's comes out.
fn over_http(call: Call, attached: Attached) -> Answer {
    let Attached { output, input, .. } = attached;
    if let Some(mut input) = input {
        let mut pieces = call.pieces();
        tokio::spawn(async move {
            while let Some(Ok(bytes)) = pieces.next().await {
                if !matches!(input.write(bytes).await, Ok(true)) {
                    return;
                }
            }
            let _ = input.close().await;
        });
    }
    answer::stream(RAW, output)
}

/// Carries bytes both ways until the process is done.
async fn carry(connection: Upgraded, attached: Attached) {
    match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<UnixStream>>(connection) {
        Ok(parts) => {
            let (from, to) = parts.io.into_inner().into_split();
            both_ways(parts.read_buf, from, to, attached).await;
        }
        Err(connection) => {
            let (from, to) = tokio::io::split(TokioIo::new(connection));
            both_ways(Bytes::new(), from, to, attached).await;
        }
    }
}

async fn both_ways(
    early: Bytes,
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    attached: Attached,
) {
    let Attached {
        mut output, input, ..
    } = attached;
    let inward = tokio::spawn(async move {
        if let Some(input) = input {
            inward(early, &mut from, input).await;
        }
        // Whatever else comes is read and dropped: see `LINGER`.
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    });
    while let Some(Ok(bytes)) = output.next().await {
        if to.write_all(&bytes).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
    let abort = inward.abort_handle();
    if tokio::time::timeout(LINGER, inward).await.is_err() {
        abort.abort();
    }
}

/// The client's bytes to the process, and its end of them.
async fn inward(early: Bytes, from: &mut (impl AsyncRead + Unpin), mut input: Input) {
    if !early.is_empty() && !matches!(input.write(early).await, Ok(true)) {
        return;
    }
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(32 << 10);
        match from.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        if !matches!(input.write(buffer.split().freeze()).await, Ok(true)) {
            return;
        }
    }
    let _ = input.close().await;
}
