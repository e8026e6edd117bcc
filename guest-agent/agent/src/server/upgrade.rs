//! A connection that stops being HTTP, as a reader and a writer; with the frames of `Proa-Stream: framed` where the host
//! asked for them.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use proa_kernel::unix::unread_by_peer;
use proa_protocol::stream::frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::UnixStream;

use super::body::Body;
use super::framed::{FramedReader, FramedWriter};
use super::{ApiError, Call};

/// The client's bytes.
pub(crate) type Reader = Pin<Box<dyn AsyncRead + Send>>;
/// Ours. What is written must be flushed; shutting it down tells the client that no more comes.
pub(crate) type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// A connection about to be handed over.
pub(crate) struct Upgrade {
    connection: OnUpgrade,
    /// The client asked for frames.
    framed: bool,
    /// Whoever takes the streams makes the frames.
    own_frames: bool,
}

impl Upgrade {
    /// Takes the connection out of a request that asked for it.
    pub(crate) fn take(call: &mut Call) -> Result<Self, ApiError> {
        let framed = call.header(frame::NAME) == frame::VALUE;
        let connection = call.head.extensions.remove::<OnUpgrade>();
        let connection =
            connection.ok_or_else(|| ApiError::bad("this connection cannot be upgraded"))?;
        Ok(Self {
            connection,
            framed,
            own_frames: false,
        })
    }

    /// For one whose frames mean something, each a datagram, and who reads and writes them itself, asked for or not.
    pub(crate) fn in_frames(self) -> Self {
        Self {
            own_frames: true,
            ..self
        }
    }

    /// The answer that hands it over, to `protocol`.
    pub(crate) fn response(&self, protocol: &'static str) -> Response<Body> {
        let mut response = Response::new(Body::EMPTY);
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(protocol));
        if self.framed || self.own_frames {
            headers.insert(frame::NAME, HeaderValue::from_static(frame::VALUE));
        }
        response
    }

    /// Both directions, once the answer was sent.
    pub(crate) async fn streams(self) -> Result<(Reader, Writer), hyper::Error> {
        let framed = self.framed && !self.own_frames;
        let (reader, writer) = halves(self.connection.await?).await;
        Ok(if framed {
            let reader: Reader = Box::pin(FramedReader::new(reader));
            let writer: Writer = Box::pin(FramedWriter::new(writer));
            (reader, writer)
        } else {
            (reader, writer)
        })
    }
}

/// Frees a unix socket of what HTTP wrapped around it.
async fn halves(connection: Upgraded) -> (Reader, Writer) {
    match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<UnixStream>>(connection) {
        Ok(parts) => {
            let stream = parts.io.into_inner();
            head_was_read(&stream).await;
            let (from, to) = stream.into_split();
            (after(parts.read_buf, from), Box::pin(to))
        }
        Err(connection) => {
            let (from, to) = tokio::io::split(TokioIo::new(connection));
            (Box::pin(from), Box::pin(to))
        }
    }
}

/// How long a client may take to read the head of an answer before its streams follow regardless.
const HEAD_START: Duration = Duration::from_millis(500);

/// Waits until the client has read the answer's head. Some (docker-py) read it through a buffer and what follows
/// without: what comes together with the head would be lost to them, and processes here start that fast.
async fn head_was_read(stream: &UnixStream) {
    let read = async {
        let mut pause = Duration::from_micros(50);
        while unread_by_peer(stream).is_ok_and(|unread| unread > 0) {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    };
    let _ = tokio::time::timeout(HEAD_START, read).await;
}

/// `early`, which came with the head, and then the rest.
fn after(early: Bytes, rest: impl AsyncRead + Send + 'static) -> Reader {
    if early.is_empty() {
        return Box::pin(rest);
    }
    Box::pin(AsyncReadExt::chain(io::Cursor::new(early), rest))
}
