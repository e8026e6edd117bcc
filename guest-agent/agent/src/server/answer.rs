//! Answers, in Docker's manner: JSON ends with a line feed, streams say what they are.

#![expect(
    clippy::unnecessary_wraps,
    reason = "each is the last line of a route, which may fail"
)]

use std::io;

use bytes::Bytes;
use futures_util::Stream;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use proa_protocol::shape::{self, Shape};

use super::Call;
use super::body::Body;
use super::error::ApiError;

/// What a route gives back.
pub(crate) type Answer = Result<Response<Body>, ApiError>;

/// A document.
pub(crate) fn json<T: Serialize>(status: StatusCode, document: &T) -> Answer {
    let mut bytes = serde_json::to_vec(document)
        .map_err(|e| ApiError::internal(format!("write the answer: {e}")))?;
    bytes.push(b'\n');
    Ok(typed(
        status,
        "application/json",
        Body::Whole(Some(bytes.into())),
    ))
}

/// A document in the shape that the client's version gives it.
pub(crate) fn shaped<T: Serialize>(call: &Call, shape: Shape, document: &T) -> Answer {
    if shape::fits(shape, call.version) {
        return json(StatusCode::OK, document);
    }
    let mut document = value(document)?;
    shape::fit(&mut document, shape, call.version);
    json(StatusCode::OK, &document)
}

/// A document that is changed before it is sent.
pub(crate) fn value<T: Serialize>(document: &T) -> Result<serde_json::Value, ApiError> {
    serde_json::to_value(document).map_err(|e| ApiError::internal(format!("write the answer: {e}")))
}

/// Nothing but a status.
pub(crate) fn status(status: StatusCode) -> Answer {
    let mut response = Response::new(Body::EMPTY);
    *response.status_mut() = status;
    Ok(response)
}

/// 204.
pub(crate) fn no_content() -> Answer {
    status(StatusCode::NO_CONTENT)
}

/// 201 without a body.
pub(crate) fn accepted() -> Answer {
    status(StatusCode::CREATED)
}

/// Words.
pub(crate) fn text(status: StatusCode, words: &'static str) -> Answer {
    Ok(typed(
        status,
        "text/plain; charset=utf-8",
        Body::Whole(Some(Bytes::from_static(words.as_bytes()))),
    ))
}

/// Bytes of some type.
pub(crate) fn bytes(kind: &'static str, bytes: Bytes) -> Answer {
    Ok(typed(StatusCode::OK, kind, Body::Whole(Some(bytes))))
}

/// What comes, as it comes. The head is sent at once.
pub(crate) fn stream(
    kind: &'static str,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Answer {
    Ok(typed(StatusCode::OK, kind, Body::Stream(Box::pin(pieces))))
}

fn typed(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
