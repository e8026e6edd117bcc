//! A connection that stops being HTTP: after the head it carries a process's streams, both ways.

use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use proa_engine::container::attach::{Attached, Input};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Call;
use super::answer::{self, Answer};
use super::upgrade::{Reader, Upgrade, Writer};

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
    let upgrade = Upgrade::take(&mut call)?;
    let kind = if attached.tty || !call.speaks(42) {
        RAW
    } else {
        MULTIPLEXED
    };
    let mut response = upgrade.response("tcp");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    tokio::spawn(async move {
        match upgrade.streams().await {
            Ok((from, to)) => both_ways(from, to, attached).await,
            Err(e) => tracing::debug!("a client left before its connection was upgraded: {e}"),
        }
    });
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
async fn both_ways(mut from: Reader, mut to: Writer, attached: Attached) {
    let Attached {
        mut output, input, ..
    } = attached;
    let inward = tokio::spawn(async move {
        if let Some(input) = input {
            inward(&mut from, input).await;
        }
        // Whatever else comes is read and dropped: see `LINGER`.
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    });
    while let Some(Ok(bytes)) = output.next().await {
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
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
async fn inward(from: &mut Reader, mut input: Input) {
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
