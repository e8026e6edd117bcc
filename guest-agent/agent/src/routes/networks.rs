//! `/networks/…`

use hyper::{Method, StatusCode};
use proa_protocol::{NetworkConnectBody, NetworkCreateBody, NetworkDisconnectBody};

use crate::server::{Answer, ApiError, Call, json, no_content, status};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], mut call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", []) => json(StatusCode::OK, &call.engine().networks(&call.filters()?)?),
        ("GET", [id]) => json(StatusCode::OK, &call.engine().network(id).await?),
        ("POST", ["create"]) => {
            let body: NetworkCreateBody = call.json().await?;
            let created = call.engine().network_create(body).await?;
            json(StatusCode::CREATED, &created)
        }
        ("POST", ["prune"]) => {
            let pruned = call.engine().network_prune(&call.filters()?).await?;
            json(StatusCode::OK, &pruned)
        }
        ("POST", [id, "connect"]) => {
            let body: NetworkConnectBody = call.json().await?;
            call.engine().network_connect(id, body).await?;
            status(StatusCode::OK)
        }
        ("POST", [id, "disconnect"]) => {
            let body: NetworkDisconnectBody = call.json().await?;
            call.engine().network_disconnect(id, body).await?;
            status(StatusCode::OK)
        }
        ("DELETE", [id]) => {
            call.engine().network_remove(id).await?;
            no_content()
        }
        _ => Err(ApiError::no_such_page()),
    }
}
