//! The API's server: connections, requests, answers. Knows HTTP and Docker's manners, and no verb.

mod answer;
mod body;
pub(crate) mod call;
mod connection;
mod error;
mod framed;
mod hijack;
mod lines;
pub(crate) mod pipe;
mod socket;
mod upgrade;

pub(crate) use answer::{
    Answer, accepted, bytes, json, no_content, shaped, status, stream, text, value,
};
pub(crate) use body::Body;
pub(crate) use call::Call;
pub(crate) use error::ApiError;
pub(crate) use hijack::{MULTIPLEXED, RAW, hijack};
pub(crate) use lines::Lines;
pub(crate) use socket::{key as web_socket_key, web_socket};
pub(crate) use upgrade::{Reader, Upgrade, Writer};

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proa_engine::Engine;
use tokio::sync::watch;

/// What every connection shares.
pub(crate) struct Server {
    /// The engine.
    pub engine: Arc<Engine>,
    /// When it began to serve.
    pub since: std::time::SystemTime,
    stopping: watch::Sender<bool>,
    connections: AtomicUsize,
}

impl Server {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let since = std::time::SystemTime::now();
        Self {
            engine,
            since,
            stopping: watch::Sender::new(false),
            connections: AtomicUsize::new(0),
        }
    }

    /// Takes no further requests and waits until those under way have their answers, or patience ends.
    pub(crate) async fn drain(&self, patience: Duration) -> bool {
        self.stopping.send_replace(true);
        let gone = async {
            while self.connections.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(patience, gone).await.is_ok()
    }
}
