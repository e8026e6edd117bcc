//! `POST /containers/create`: the binds are checked here, where the folders are.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use hyper::{Request, StatusCode};

use super::Refusal;
use super::binds::{self, Ground};
use super::body::Body;
use crate::machine::supervisor::Up;

/// The largest document that the engine takes.
const LARGEST: usize = 8 << 20;
/// By these names too programs ask for the engine's socket.
const USUAL: [&str; 3] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/proa/proa.sock",
];

/// The request with its binds as the machine knows them.
pub(super) async fn checked(
    request: Request<Incoming>,
    up: &Up,
    socket: &Path,
) -> Result<Request<Body>, Refusal> {
    let (mut head, body) = request.into_parts();
    let bytes = Limited::new(body, LARGEST).collect().await.map_err(|e| {
        let words = format!("read the request's body: {e}");
        Refusal::new(StatusCode::BAD_REQUEST, words)
    })?;
    let mut bytes = bytes.to_bytes();
    // What is no document is the engine's to refuse, in its own words.
    if let Ok(mut config) = serde_json::from_slice(&bytes) {
        let sockets = [
            Path::new(USUAL[0]),
            Path::new(USUAL[1]),
            Path::new(USUAL[2]),
            socket,
        ];
        let ground = Ground {
            shares: &up.shares,
            engine_socket: &up.engine_socket,
            sockets: &sockets,
        };
        let changed = binds::check(&mut config, &ground)
            .map_err(|e| Refusal::new(StatusCode::BAD_REQUEST, e.to_string()))?;
        if changed {
            bytes = Bytes::from(config.to_string());
        }
    }
    head.headers.remove(TRANSFER_ENCODING);
    let length = HeaderValue::from(bytes.len());
    head.headers.insert(CONTENT_LENGTH, length);
    Ok(Request::from_parts(head, Body::whole(bytes)))
}
