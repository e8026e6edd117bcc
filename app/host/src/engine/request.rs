//! A request to the engine, as a value.

use std::fmt::Write as _;
use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, UPGRADE};
use hyper::{Method, http};
use serde::Serialize;

/// What hyper sends.
pub(super) type Body = BoxBody<Bytes, io::Error>;

/// A body that is sent as it comes: a tar file, say.
pub type Upload = std::pin::Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync>>;

/// A method, a path, a query, headers and a body.
pub struct Request {
    method: Method,
    path: String,
    query: String,
    headers: Vec<(HeaderName, String)>,
    body: Content,
}

enum Content {
    Nothing,
    Json(serde_json::Result<Vec<u8>>),
    Upload(Upload),
}

impl Request {
    /// A request for a path of fixed text and names: `["containers", id, "json"]`. Names are escaped, but for the
    /// slashes and colons that image names hold.
    pub fn new(method: Method, segments: &[&str]) -> Self {
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            escape(segment, b"/:@", &mut path);
        }
        Self {
            method,
            path,
            query: String::new(),
            headers: Vec::new(),
            body: Content::Nothing,
        }
    }

    /// Asks.
    pub fn get(segments: &[&str]) -> Self {
        Self::new(Method::GET, segments)
    }

    /// Orders.
    pub fn post(segments: &[&str]) -> Self {
        Self::new(Method::POST, segments)
    }

    /// Removes.
    pub fn delete(segments: &[&str]) -> Self {
        Self::new(Method::DELETE, segments)
    }

    /// Adds `name=value` to the query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query
            .push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(name);
        self.query.push('=');
        escape(value, b"/:,", &mut self.query);
        self
    }

    /// Adds `name=value` where there is a value.
    pub fn maybe(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, &value.to_string()),
            None => self,
        }
    }

    /// Adds `name=1` where the flag is set.
    pub fn flag(self, name: &str, set: bool) -> Self {
        if set { self.query(name, "1") } else { self }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers
            .push((HeaderName::from_static(name), value.into()));
        self
    }

    /// The document to send.
    pub fn json(mut self, document: &impl Serialize) -> Self {
        self.body = Content::Json(serde_json::to_vec(document));
        self
    }

    /// The bytes to send, as they come.
    pub fn upload(mut self, bytes: Upload) -> Self {
        self.body = Content::Upload(bytes);
        self.header("content-type", "application/x-tar")
    }

    /// `METHOD /path`, for messages.
    pub(super) fn about(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(super) fn upgrading(mut self) -> Self {
        self.headers.push((CONNECTION, "Upgrade".into()));
        self.headers.push((UPGRADE, "tcp".into()));
        self
    }

    pub(super) fn into_http(self) -> Result<http::Request<Body>, http::Error> {
        let mut builder = http::Request::builder()
            .method(self.method)
            .uri(self.path + &self.query)
            // The engine's name does not matter on a socket, but HTTP/1.1 wants one.
            .header(HOST, "proa");
        for (name, value) in self.headers {
            builder = builder.header(name, HeaderValue::try_from(value)?);
        }
        match self.body {
            Content::Nothing => builder.body(Empty::new().map_err(|never| match never {}).boxed()),
            Content::Json(text) => {
                // Documents of ours are maps with text keys, which always serialise.
                let text = text.unwrap_or_default();
                let body = Full::new(Bytes::from(text))
                    .map_err(|never| match never {})
                    .boxed();
                builder.header(CONTENT_TYPE, "application/json").body(body)
            }
            Content::Upload(bytes) => builder.body(BodyExt::boxed(StreamBody::new(
                bytes.map(|part| part.map(Frame::data)),
            ))),
        }
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters and `also`.
fn escape(text: &str, also: &[u8], out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_image_names_keep_their_shape() {
        let request = Request::get(&["images", "localhost:5000/a/b:1", "json"])
            .query("filters", r#"{"a":["b c"]}"#);
        let message = request
            .flag("all", true)
            .flag("size", false)
            .into_http()
            .expect("well-formed");
        let expected =
            "/images/localhost:5000/a/b:1/json?filters=%7B%22a%22:%5B%22b%20c%22%5D%7D&all=1";
        assert_eq!(message.uri().to_string(), expected);
        let odd = Request::get(&["containers", "a?b#c", "json"])
            .into_http()
            .expect("well-formed");
        assert_eq!(odd.uri().to_string(), "/containers/a%3Fb%23c/json");
    }
}
