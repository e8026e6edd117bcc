//! A process's streams over a web socket (RFC 6455): what the process writes comes as messages, both of its streams as
//! one; messages of the client go to its standard input.

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use hyper::header::{
    HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use proa_engine::container::attach::{Attached, Input};
use proa_protocol::stream as frames;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::answer::Answer;
use super::upgrade::{Reader, Upgrade, Writer};
use super::{ApiError, Call};

/// The longest message that a client may send; standard input has no messages, so a longer one has no meaning.
const LONGEST: usize = 1 << 20;

/// Takes the key of a handshake out of a request, or says what is wrong with it.
pub(crate) fn key(call: &Call) -> Result<String, ApiError> {
    let asked = call.header(UPGRADE.as_str());
    if !asked.eq_ignore_ascii_case("websocket") {
        return Err(ApiError::bad("not a request for a web socket"));
    }
    if call.header(SEC_WEBSOCKET_VERSION.as_str()) != "13" {
        return Err(ApiError::bad("missing or bad WebSocket Version"));
    }
    match call.header(SEC_WEBSOCKET_KEY.as_str()) {
        "" => Err(ApiError::bad("missing Sec-WebSocket-Key")),
        key => Ok(derive_accept_key(key.as_bytes())),
    }
}

/// Answers the handshake and carries the streams. Before API version 1.28 messages were text.
pub(crate) fn web_socket(mut call: Call, accept: &str, attached: Attached) -> Answer {
    let upgrade = Upgrade::take(&mut call)?;
    let binary = call.speaks(28);
    let mut response = upgrade.response("websocket");
    let accept = HeaderValue::from_str(accept)
        .map_err(|e| ApiError::internal(format!("answer the handshake: {e}")))?;
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    tokio::spawn(async move {
        match upgrade.streams().await {
            Ok((from, to)) => carry(from, to, binary, attached).await,
            Err(e) => tracing::debug!("a client left before its connection was upgraded: {e}"),
        }
    });
    Ok(response)
}

/// Until the process is done or the client has left, whichever is first.
async fn carry(from: Reader, to: Writer, binary: bool, attached: Attached) {
    let limits = WebSocketConfig::default()
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST));
    let socket =
        WebSocketStream::from_raw_socket(tokio::io::join(from, to), Role::Server, Some(limits));
    let (mut to, from) = socket.await.split();
    let Attached { tty, output, input } = attached;
    let mut inward = tokio::spawn(inward(from, input));
    let mut bare = Bare::new(!tty);
    let mut output = output;
    loop {
        let piece = tokio::select! {
            piece = output.next() => piece,
            _ = &mut inward => break,
        };
        let Some(Ok(piece)) = piece else { break };
        let bytes = bare.take(piece);
        if !bytes.is_empty() && to.send(message(bytes, binary)).await.is_err() {
            break;
        }
    }
    let _ = to.close().await;
    inward.abort();
}

fn message(bytes: Bytes, binary: bool) -> Message {
    if binary {
        return Message::Binary(bytes);
    }
    Message::text(String::from_utf8_lossy(&bytes).into_owned())
}

/// The client's messages to the process. A client that closed its side of the conversation has left.
async fn inward<E>(
    mut from: impl Stream<Item = Result<Message, E>> + Unpin,
    mut input: Option<Input>,
) {
    while let Some(Ok(message)) = from.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        // The process may have closed its standard input, and still be writing.
        if let Some(open) = &mut input
            && !matches!(open.write(bytes).await, Ok(true))
        {
            input = None;
        }
    }
}

/// Takes the headers off framed output.
struct Bare {
    framed: bool,
    rest: BytesMut,
}

impl Bare {
    fn new(framed: bool) -> Self {
        Self {
            framed,
            rest: BytesMut::new(),
        }
    }

    fn take(&mut self, piece: Bytes) -> Bytes {
        if !self.framed {
            return piece;
        }
        self.rest.extend_from_slice(&piece);
        let mut bytes = BytesMut::new();
        while let Ok(Some((chunk, used))) = frames::decode(&self.rest) {
            bytes.extend_from_slice(chunk.body);
            let _ = self.rest.split_to(used);
        }
        bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_taken_off_wherever_the_pieces_end() {
        let mut framed = Vec::new();
        frames::encode(frames::Stream::Stdout, b"out", &mut framed);
        frames::encode(frames::Stream::Stderr, b"err", &mut framed);
        for size in 1..framed.len() {
            let mut bare = Bare::new(true);
            let pieces = framed.chunks(size).map(Bytes::copy_from_slice);
            let taken: Vec<u8> = pieces.flat_map(|piece| bare.take(piece)).collect();
            assert_eq!(taken, b"outerr");
        }
    }
}
