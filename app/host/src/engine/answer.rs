//! The engine's answer: bytes, or documents one after the other.

use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::EngineError;

/// The head of an answer, and its body as it comes.
pub struct Answer {
    about: String,
    response: Response<Incoming>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Answer {
    pub(super) fn new(about: String, response: Response<Incoming>) -> Self {
        Self { about, response }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next part of the body.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EngineError> {
        loop {
            match self.response.body_mut().frame().await {
                None => return Ok(None),
                Some(Err(source)) => {
                    return Err(EngineError::Broken {
                        about: self.about.clone(),
                        source,
                    });
                }
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// The whole body.
    pub async fn bytes(self) -> Result<Bytes, EngineError> {
        let body = self.response.into_body().collect().await;
        Ok(body
            .map_err(|source| EngineError::Broken {
                about: self.about,
                source,
            })?
            .to_bytes())
    }

    /// The whole body as one document.
    pub async fn document<T: DeserializeOwned>(self) -> Result<T, EngineError> {
        let about = self.about.clone();
        serde_json::from_slice(&self.bytes().await?)
            .map_err(|source| EngineError::Garbled { about, source })
    }

    /// The body as a stream of documents.
    pub fn lines<T: DeserializeOwned>(self) -> Lines<T> {
        Lines {
            answer: self,
            buffer: BytesMut::new(),
            document: PhantomData,
        }
    }

    /// The error that the body tells.
    pub(super) async fn refusal(self) -> EngineError {
        let status = self.status();
        let body = self.bytes().await.unwrap_or_default();
        let message = match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => refusal.message,
            Err(_) if body.is_empty() => format!("the engine answered with status {status}"),
            Err(_) => String::from_utf8_lossy(&body).trim().to_owned(),
        };
        EngineError::Refused {
            status: status.as_u16(),
            message,
        }
    }
}

/// Documents that follow each other in one answer, with or without line breaks between them.
pub struct Lines<T> {
    answer: Answer,
    buffer: BytesMut,
    document: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Lines<T> {
    /// The next document, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<T>, EngineError> {
        loop {
            if let Some(document) =
                first_document(&mut self.buffer).map_err(|source| self.garbled(source))?
            {
                return Ok(Some(document));
            }
            let Some(part) = self.answer.chunk().await? else {
                return Ok(None);
            };
            self.buffer.extend_from_slice(&part);
        }
    }

    fn garbled(&self, source: serde_json::Error) -> EngineError {
        EngineError::Garbled {
            about: self.answer.about.clone(),
            source,
        }
    }
}

/// Takes a whole document off the front; `None` means "read more first".
fn first_document<T: DeserializeOwned>(buffer: &mut BytesMut) -> serde_json::Result<Option<T>> {
    // JSON text sequences (RFC 7464) put a record separator before each document.
    let skip = buffer
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x1e)
        .count();
    let _ = buffer.split_to(skip);
    if buffer.is_empty() {
        return Ok(None);
    }
    let mut documents = serde_json::Deserializer::from_slice(buffer).into_iter::<T>();
    match documents.next() {
        Some(Ok(document)) => {
            let used = documents.byte_offset();
            let _ = buffer.split_to(used);
            Ok(Some(document))
        }
        Some(Err(error)) if error.is_eof() => Ok(None),
        Some(Err(error)) => Err(error),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_taken_off_as_they_become_whole() {
        let mut buffer = BytesMut::from(&b"{\"a\":1}\r\n\x1e{\"a\":2}{\"a\""[..]);
        let mut next = || {
            first_document::<serde_json::Value>(&mut buffer)
                .map(|found| found.map(|doc| doc["a"].clone()))
        };
        assert_eq!(next().ok().flatten(), Some(1.into()));
        assert_eq!(next().ok().flatten(), Some(2.into()));
        assert!(matches!(next(), Ok(None)));
    }

    #[test]
    fn nonsense_is_an_error() {
        let mut buffer = BytesMut::from(&b"<html>"[..]);
        assert!(first_document::<serde_json::Value>(&mut buffer).is_err());
    }
}
