//! `/networks/…`

use hyper::{Method, StatusCode};
use proa_protocol::shape::Shape;
use proa_protocol::{NetworkConnectBody, NetworkCreateBody, NetworkDisconnectBody};

use crate::server::{Answer, ApiError, Call, json, no_content, shaped, status};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], mut call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", []) => list(&call).await,
        ("GET", [id]) => shaped(&call, Shape::Network, &call.engine().network(id).await?),
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

/// `GET /networks`: until version 1.28 with the containers in each.
async fn list(call: &Call) -> Answer {
    let mut list = call.engine().networks(&call.filters()?)?;
    if !call.speaks(28) {
        for network in &mut list {
            *network = call.engine().network(&network.id).await?;
        }
    }
    shaped(call, Shape::NetworkList, &list)
}
