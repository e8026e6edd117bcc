//! A connection that stopped being HTTP: the standard streams of a container or an exec.

use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{ReadHalf, WriteHalf};

use super::Answer;
use crate::error::EngineError;

/// The two directions of a hijacked connection; shutting down the writing half is what the other side reads as the
/// end of standard input.
pub struct Hijacked {
    /// What the container writes.
    pub reader: ReadHalf<TokioIo<Upgraded>>,
    /// What the container reads.
    pub writer: WriteHalf<TokioIo<Upgraded>>,
    /// Whether the engine says that both output streams are in frames (`None`: it did not say).
    pub framed: Option<bool>,
}

impl Hijacked {
    pub(super) async fn take(
        about: String,
        response: Response<Incoming>,
    ) -> Result<Self, EngineError> {
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            if status.is_success() {
                return Err(EngineError::NotUpgraded {
                    about,
                    status: status.as_u16(),
                });
            }
            return Err(Answer::new(about, response).refusal().await);
        }
        let kind = response
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok());
        let framed = match kind {
            Some("application/vnd.docker.multiplexed-stream") => Some(true),
            _ => None,
        };
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|source| EngineError::Broken { about, source })?;
        let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
        Ok(Self {
            reader,
            writer,
            framed,
        })
    }
}
