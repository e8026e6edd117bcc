//! Carrying bytes between the standard streams of this side and a hijacked connection.

use proa_host::Hijacked;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::detach::{DetachKeys, Typed};
use super::frames::{Frames, Output};
use crate::failure::Failure;

const PIECE: usize = 64 * 1024;

/// What is carried.
pub(crate) struct Streams {
    /// Whether standard input goes there.
    pub(crate) stdin: bool,
    /// Whether the output is one terminal's, not frames of two streams.
    pub(crate) tty: bool,
    /// What typed keys end the connection (terminals only).
    pub(crate) keys: Vec<u8>,
}

/// How the carrying ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The other side closed its output.
    Output,
    /// The user typed the detach keys.
    Detached,
}

/// Carries until the other side's output ends or the user detaches.
pub(crate) async fn run(connection: Hijacked, streams: Streams) -> Result<Ended, Failure> {
    let Hijacked { reader, writer, .. } = connection;
    let output = outward(reader, streams.tty);
    if !streams.stdin {
        // The writing half stays open until then: a half-closed connection is a closed one to some proxies.
        let ended = output.await.map(|()| Ended::Output);
        drop(writer);
        return ended;
    }
    let keys = streams.tty.then(|| DetachKeys::new(streams.keys));
    let input = inward(writer, keys);
    tokio::pin!(output, input);
    tokio::select! {
        ended = &mut output => ended.map(|()| Ended::Output),
        detached = &mut input => {
            if detached {
                return Ok(Ended::Detached);
            }
            output.await.map(|()| Ended::Output)
        }
    }
}

/// Copies standard input, then closes the writing half. Says whether the detach keys were typed.
async fn inward(mut writer: impl AsyncWrite + Unpin, mut keys: Option<DetachKeys>) -> bool {
    let mut stdin = tokio::io::stdin();
    let mut piece = vec![0; PIECE];
    loop {
        let count = match stdin.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let (bytes, detach) = match keys.as_mut().map(|keys| keys.scan(&piece[..count])) {
            None => (None, false),
            Some(Typed::On(bytes)) => (Some(bytes), false),
            Some(Typed::Detach(bytes)) => (Some(bytes), true),
        };
        let sent = writer
            .write_all(bytes.as_deref().unwrap_or(&piece[..count]))
            .await;
        if detach {
            return true;
        }
        // The process may have closed its input or ended; its output says the rest.
        if sent.is_err() || writer.flush().await.is_err() {
            break;
        }
    }
    let _ = writer.shutdown().await;
    false
}

/// Copies what comes to standard output and standard error.
async fn outward(mut reader: impl AsyncRead + Unpin, tty: bool) -> Result<(), Failure> {
    let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
    let mut frames = Frames::default();
    let mut piece = vec![0; PIECE];
    loop {
        let count = match reader.read(&mut piece).await {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if is_end(&error) => return Ok(()),
            Err(error) => return Err(Failure::io("read what the container writes", error)),
        };
        let mut bytes = &piece[..count];
        let written = if tty {
            written(&mut stdout, bytes).await
        } else {
            unpacked(&mut frames, &mut bytes, &mut stdout, &mut stderr).await
        };
        match written {
            Ok(()) => {}
            // Whoever read it has seen enough: ends as `cat` would.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                return Err(Failure::Reported.with_code(141));
            }
            Err(error) => return Err(Failure::io("write what the container wrote", error)),
        }
    }
}

async fn unpacked(
    frames: &mut Frames,
    bytes: &mut &[u8],
    stdout: &mut tokio::io::Stdout,
    stderr: &mut tokio::io::Stderr,
) -> std::io::Result<()> {
    while let Some((output, part)) = frames.next(bytes) {
        match output {
            Output::Stdout => written(stdout, part).await?,
            Output::Stderr => written(stderr, part).await?,
        }
    }
    Ok(())
}

async fn written(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// A connection that the engine drops after the last byte is an end like any other.
fn is_end(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
