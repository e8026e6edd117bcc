//! `POST /containers/{id}/start`: the container's ports are taken on this host first, so that a port that is in use
//! fails the start as it does with an engine that runs here.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};

use super::body::Body;
use super::{Proxy, Refusal};
use crate::machine::ports::PortError;
use crate::machine::supervisor::Up;

/// Reserves the ports, passes the request on, and opens the ports that the engine chose itself.
pub(super) async fn start(
    proxy: Arc<Proxy>,
    up: Arc<Up>,
    request: Request<Incoming>,
    container: String,
) -> Result<Response<Incoming>, Refusal> {
    let reserved = proxy.ports.reserve(&up.guest, &container).await;
    reserved.map_err(refused)?;
    let sent = proxy.upstream.send(&up, request.map(Body::from)).await;
    // Whatever came of it: what does not run has no ports.
    let opened = proxy.ports.follow(&up.guest, &container).await;
    let response = sent?;
    match opened {
        Err(problem) if response.status().is_success() => {
            // Only a port that the engine chose can be taken by now.
            if let Err(e) = up.guest.stop(&container).await {
                tracing::warn!("stop {container}, whose port is taken: {e}");
            }
            Err(refused(problem))
        }
        Err(_) | Ok(()) => Ok(response),
    }
}

fn refused(problem: PortError) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, problem.to_string())
}
