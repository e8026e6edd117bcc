//! `/exec/…`

use hyper::{Method, StatusCode};
use proa_protocol::ExecStartBody;

use super::containers::size;
use crate::server::{self, Answer, ApiError, Call, hijack, json};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("POST", [id, "start"]) => start(id, call).await,
        ("POST", [id, "resize"]) => resize(id, &call).await,
        ("GET", [id, "json"]) => json(StatusCode::OK, &call.engine().exec(id)?.inspect()?),
        _ => Err(ApiError::no_such_page()),
    }
}

/// `POST /exec/{id}/start`
async fn start(id: &str, mut call: Call) -> Answer {
    let body: ExecStartBody = call.json().await?;
    let exec = call.engine().exec(id)?;
    if body.detach {
        exec.start_detached(body).await?;
        return server::status(StatusCode::OK);
    }
    let attached = exec.start_attached(body).await?;
    hijack(call, attached)
}

/// `POST /exec/{id}/resize?h=…&w=…`
async fn resize(id: &str, call: &Call) -> Answer {
    let (height, width) = size(call)?;
    call.engine().exec(id)?.resize(height, width).await?;
    server::status(StatusCode::OK)
}
