//! `/proa/v1/…`: what Docker's API lacks.

use std::time::UNIX_EPOCH;

use hyper::{Method, StatusCode};
use proa_engine::xray::path::{self, PathOptions};
use proa_protocol::proa::Health;

use super::tunnel;
use crate::server::{Answer, ApiError, Call, json};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", ["health"]) => health(&call).await,
        ("GET", ["xray", container, "path"]) => request_path(&call, container).await,
        ("POST", ["tunnel"]) => tunnel::open(call).await,
        _ => Err(ApiError::no_such_page()),
    }
}

/// `GET /proa/v1/health`
async fn health(call: &Call) -> Answer {
    let since = call
        .server
        .since
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let running = call
        .engine()
        .list(proa_engine::ListOptions::default())
        .await?
        .len();
    let health = Health {
        version: crate::VERSION.to_owned(),
        since: since as i64,
        pid: std::process::id(),
        running: running as u64,
    };
    json(StatusCode::OK, &health)
}

/// `GET /proa/v1/xray/{container}/path`
async fn request_path(call: &Call, container: &str) -> Answer {
    let options = PathOptions {
        port: path::port(call.query.number("port")?)?,
        udp: call.query.text("protocol") == "udp",
        probe: call.query.truth_or("probe", true),
    };
    let path = call.engine().request_path(container, options).await?;
    json(StatusCode::OK, &path)
}
