//! One request, as a route sees it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http_body_util::{BodyExt, BodyStream, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, UPGRADE};
use hyper::http::request::Parts;
use proa_engine::Engine;
use proa_protocol::{ApiVersion, AuthConfig, Filters, Query};
use serde::de::DeserializeOwned;

use super::{ApiError, Server};

/// The largest document that a client may send.
const LARGEST_DOCUMENT: usize = 8 << 20;

/// A request whose path was already taken apart.
pub(crate) struct Call {
    /// What all connections share.
    pub server: Arc<Server>,
    /// The version that the client speaks; ours where it named none.
    pub version: ApiVersion,
    /// Behind the `?`.
    pub query: Query,
    /// The head.
    pub head: Parts,
    /// The body, not yet read.
    pub body: Incoming,
}

impl Call {
    /// The engine.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.server.engine
    }

    /// Whether the client speaks `1.minor` or newer.
    pub(crate) fn speaks(&self, minor: u16) -> bool {
        self.version >= ApiVersion(minor)
    }

    /// The parameter `filters`.
    pub(crate) fn filters(&self) -> Result<Filters, ApiError> {
        Ok(Filters::from_json(self.query.text("filters"))?)
    }

    /// A parameter's text, if it is there and not empty.
    pub(crate) fn wish(&self, name: &str) -> Option<String> {
        self.query
            .opt(name)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.head
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The client's credentials for a registry. What cannot be read is none, as Docker has it.
    pub(crate) fn credentials(&self) -> Option<AuthConfig> {
        let read = proa_protocol::auth::decode(self.header("x-registry-auth"));
        read.unwrap_or_else(|e| {
            tracing::debug!("{e}");
            None
        })
    }

    /// Whether the client wants the connection for itself.
    pub(crate) fn wants_upgrade(&self) -> bool {
        self.head.headers.contains_key(UPGRADE)
    }

    /// The whole body, which must be JSON by its type; empty where there is none.
    pub(crate) async fn json_bytes(&mut self) -> Result<Bytes, ApiError> {
        let kind = self
            .head
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        check_json(kind.unwrap_or_default(), self.body.is_end_stream())?;
        self.whole_body().await
    }

    /// The whole body, whatever it is.
    pub(crate) async fn whole_body(&mut self) -> Result<Bytes, ApiError> {
        if self.body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let body = std::pin::pin!(Limited::new(&mut self.body, LARGEST_DOCUMENT));
        match body.collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(e) => Err(ApiError::bad(format!("read the request's body: {e}"))),
        }
    }

    /// The body's document; the default where there is no body.
    pub(crate) async fn json<T: DeserializeOwned + Default>(&mut self) -> Result<T, ApiError> {
        let bytes = self.json_bytes().await?;
        if bytes.is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice::<Option<T>>(&bytes)
            .map(Option::unwrap_or_default)
            .map_err(|e| bad_json(&bytes, &e))
    }

    /// The body as it comes.
    pub(crate) fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
        let frames = TryStreamExt::map_err(BodyStream::new(self.body), io::Error::other);
        frames.try_filter_map(|frame| std::future::ready(Ok(frame.into_data().ok())))
    }
}

/// Docker's test that a body is JSON.
fn check_json(kind: &str, empty: bool) -> Result<(), ApiError> {
    let bare = kind.split(';').next().unwrap_or_default().trim();
    match bare {
        "" if empty => Ok(()),
        "" => Err(ApiError::bad(
            "malformed Content-Type header (): mime: no media type",
        )),
        _ if bare.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => {
            let words =
                format!("unsupported Content-Type header ({kind}): must be 'application/json'");
            Err(ApiError::bad(words))
        }
    }
}

/// The refusal of a body that cannot be read, in the words of Go's decoder where they are short.
pub(crate) fn bad_json(bytes: &[u8], error: &serde_json::Error) -> ApiError {
    let told = error.to_string();
    ApiError::bad(match error.classify() {
        serde_json::error::Category::Eof => "invalid JSON: unexpected EOF".to_owned(),
        _ if told.starts_with("trailing characters") => "unexpected content after JSON".to_owned(),
        _ if told.starts_with("expected value") => {
            let line = bytes
                .split(|byte| *byte == b'\n')
                .nth(error.line().saturating_sub(1));
            let odd = line.and_then(|line| line.get(error.column().saturating_sub(1)));
            let odd = char::from(odd.copied().unwrap_or(b'?'));
            format!("invalid JSON: invalid character {odd:?} looking for beginning of value")
        }
        _ => format!("invalid JSON: {told}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_must_say_that_it_is_json() {
        assert!(check_json("application/json", false).is_ok());
        assert!(check_json("application/json; charset=utf-8", false).is_ok());
        assert!(check_json("", true).is_ok());
        assert!(check_json("", false).is_err());
        let refused = check_json("application/x-www-form-urlencoded", false).unwrap_err();
        let words = "unsupported Content-Type header (application/x-www-form-urlencoded): must be 'application/json'";
        assert_eq!(refused.message, words);
    }

    #[test]
    fn bad_json_is_told_in_dockers_words() {
        let told = |text: &str| {
            let error = serde_json::from_str::<Option<u8>>(text).unwrap_err();
            bad_json(text.as_bytes(), &error).message
        };
        assert_eq!(told(""), "invalid JSON: unexpected EOF");
        assert_eq!(told("1 2"), "unexpected content after JSON");
        assert_eq!(
            told("x"),
            "invalid JSON: invalid character 'x' looking for beginning of value"
        );
    }
}
