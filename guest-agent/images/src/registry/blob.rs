//! Blobs: one unbroken stream of bytes, however often the connection breaks.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response};

use super::session::{back_off, limited};
use super::{RegistryError, Session};
use crate::digest::Digest;
use crate::documents::Descriptor;

/// Broken connections in a row that brought nothing new.
const MAX_FRUITLESS: u32 = 8;

/// Takes a blob's bytes in order. An error ends the transfer.
pub(crate) trait Sink {
    /// Takes the next bytes; `false` if nobody wants them any more.
    fn take(&mut self, bytes: Bytes) -> impl Future<Output = bool> + Send;
}

impl Session {
    /// A small blob, verified.
    pub(crate) async fn small_blob(
        &self,
        descriptor: &Descriptor,
        most: usize,
    ) -> Result<Vec<u8>, RegistryError> {
        let url = self.url(&format!("blobs/{}", descriptor.digest))?;
        let response = self
            .ask(Method::GET, url.clone(), &HeaderMap::new())
            .await?;
        let body = limited(response, most).await;
        let body = body.map_err(|cause| RegistryError::Unreachable {
            method: "Get",
            url: url.to_string(),
            cause,
        })?;
        if Digest::of(&body) == descriptor.digest {
            Ok(body)
        } else {
            Err(RegistryError::Unverified(descriptor.digest.clone()))
        }
    }

    /// Streams a blob into a sink. A transfer that breaks goes on where it was: with a range request, or, where the
    /// registry has none, by skipping what is there already. The blob's digest, which the taker checks, covers both.
    pub(crate) async fn blob(
        &self,
        descriptor: &Descriptor,
        sink: &mut impl Sink,
        done: &AtomicU64,
    ) -> Result<(), RegistryError> {
        let url = self.url(&format!("blobs/{}", descriptor.digest))?;
        let mut fruitless = 0;
        loop {
            let before = done.load(Ordering::Relaxed);
            let outcome = match self.open_blob(descriptor, before).await {
                Ok((response, skip)) => self.pour(response, skip, descriptor, sink, done).await,
                Err(error) => Err(error),
            };
            let error = match outcome {
                Ok(()) => return Ok(()),
                Err(error) if !error.is_temporary() => return Err(error),
                Err(error) => error,
            };
            fruitless = if done.load(Ordering::Relaxed) > before {
                0
            } else {
                fruitless + 1
            };
            if fruitless >= MAX_FRUITLESS {
                return Err(error);
            }
            tracing::debug!(%error, %url, at = done.load(Ordering::Relaxed), "a transfer broke, going on");
            tokio::time::sleep(back_off(fruitless)).await;
        }
    }

    /// Asks for a blob from an offset on; also says how many bytes of the answer are known already.
    async fn open_blob(
        &self,
        descriptor: &Descriptor,
        from: u64,
    ) -> Result<(Response, u64), RegistryError> {
        let url = self.url(&format!("blobs/{}", descriptor.digest))?;
        let mut headers = HeaderMap::new();
        if from > 0
            && let Ok(range) = HeaderValue::try_from(format!("bytes={from}-"))
        {
            headers.insert(RANGE, range);
        }
        let response = match self.ask(Method::GET, url.clone(), &headers).await {
            Err(RegistryError::Refused { status: 416, .. }) => {
                self.ask(Method::GET, url, &HeaderMap::new()).await?
            }
            other => other?,
        };
        let starts = response
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok())
            .and_then(range_start);
        match (response.status().as_u16(), starts) {
            (206, Some(start)) if start <= from => Ok((response, from - start)),
            (206, _) => Err(self.rubbish("it answers with another range than asked for")),
            _ => Ok((response, from)),
        }
    }

    async fn pour(
        &self,
        mut response: Response,
        mut skip: u64,
        descriptor: &Descriptor,
        sink: &mut impl Sink,
        done: &AtomicU64,
    ) -> Result<(), RegistryError> {
        let broken = |cause: String| RegistryError::Unreachable {
            method: "Get",
            url: format!("{}@{}", self.reference.repository(), descriptor.digest),
            cause,
        };
        loop {
            let chunk = response
                .chunk()
                .await
                .map_err(|error| broken(super::endpoint::chain(&error.without_url())))?;
            let Some(mut chunk) = chunk else { break };
            let known = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            skip -= known as u64;
            let chunk = chunk.split_off(known);
            if chunk.is_empty() {
                continue;
            }
            let now = done.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
            if descriptor.size > 0 && now > descriptor.size {
                return Err(self.rubbish(format!(
                    "blob {} is longer than its manifest says",
                    descriptor.digest
                )));
            }
            if !sink.take(chunk).await {
                return Ok(());
            }
        }
        if done.load(Ordering::Relaxed) < descriptor.size {
            return Err(broken("unexpected EOF".into()));
        }
        Ok(())
    }
}

/// The first number of `bytes 5-9/10`.
fn range_start(text: &str) -> Option<u64> {
    text.strip_prefix("bytes ")?
        .split('-')
        .next()?
        .trim()
        .parse()
        .ok()
}
