//! One engine and the connections to it.

mod answer;
mod connect;
mod hijack;
mod request;
mod tls;

use std::sync::Mutex;

use bytes::Bytes;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;

pub use answer::{Answer, Lines};
pub use hijack::Hijacked;
pub use hyper::Method;
pub use request::{Request, Upload};

use crate::endpoint::Endpoint;
use crate::error::EngineError;

/// A connection that can carry a request.
type Sender = SendRequest<request::Body>;

/// An engine at an endpoint. Nothing is connected before the first request; requests at the same time use a
/// connection each, and one that is done is kept for the next.
pub struct Engine {
    endpoint: Endpoint,
    idle: Mutex<Vec<Sender>>,
}

impl Engine {
    /// The engine at `endpoint`; no I/O happens.
    pub fn at(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks for one document.
    pub async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, EngineError> {
        let about = request.about();
        let body = self.body(request).await?;
        // Docker answers a few questions with nothing where it means "no document".
        let text: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(text).map_err(|source| EngineError::Garbled { about, source })
    }

    /// Orders something, and waits until it is done.
    pub async fn order(&self, request: Request) -> Result<(), EngineError> {
        self.body(request).await.map(drop)
    }

    /// Sends a request; the answer's head is here, its body still streams.
    pub async fn send(&self, request: Request) -> Result<Answer, EngineError> {
        let about = request.about();
        let (response, sender) = self.exchange(request).await?;
        drop(sender);
        let answer = Answer::new(about, response);
        if answer.status().is_success() || answer.status().as_u16() == 304 {
            Ok(answer)
        } else {
            Err(answer.refusal().await)
        }
    }

    /// Sends a request that turns the connection into a stream.
    pub async fn hijack(&self, request: Request) -> Result<Hijacked, EngineError> {
        let about = request.about();
        let (response, sender) = self.exchange(request.upgrading()).await?;
        drop(sender);
        Hijacked::take(about, response).await
    }

    async fn body(&self, request: Request) -> Result<Bytes, EngineError> {
        let about = request.about();
        let (response, sender) = self.exchange(request).await?;
        let answer = Answer::new(about, response);
        if !(answer.status().is_success() || answer.status().as_u16() == 304) {
            let refusal = answer.refusal().await;
            self.keep(sender);
            return Err(refusal);
        }
        let bytes = answer.bytes().await?;
        self.keep(sender);
        Ok(bytes)
    }

    async fn exchange(
        &self,
        request: Request,
    ) -> Result<(Response<Incoming>, Sender), EngineError> {
        let about = request.about();
        let mut sender = match self.kept() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let message = request
            .into_http()
            .map_err(|source| EngineError::Unspeakable {
                about: about.clone(),
                source,
            })?;
        let response = sender.send_request(message).await;
        Ok((
            response.map_err(|source| EngineError::Broken { about, source })?,
            sender,
        ))
    }

    fn kept(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().ok()?;
        while let Some(sender) = idle.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(sender);
        }
    }

    async fn connect(&self) -> Result<Sender, EngineError> {
        let wire =
            connect::open(&self.endpoint)
                .await
                .map_err(|source| EngineError::Unreachable {
                    endpoint: self.endpoint.to_string(),
                    source,
                })?;
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .handshake(TokioIo::new(wire))
            .await
            .map_err(|source| EngineError::Broken {
                about: format!("a connection to {}", self.endpoint),
                source,
            })?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}
