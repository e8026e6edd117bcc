//! `/networks/…`: the networks that always exist. Making others comes with the `networks` crate.

use hyper::{Method, StatusCode};

use crate::server::{Answer, ApiError, Call, json};

/// Picks the verb.
pub(super) fn answer(method: &Method, path: &[&str], call: &Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", []) => json(StatusCode::OK, &call.engine().networks(&call.filters()?)?),
        ("GET", [id]) => json(StatusCode::OK, &call.engine().network(id)?),
        ("POST", ["prune"]) => json(
            StatusCode::OK,
            &proa_protocol::NetworkPruneResponse::default(),
        ),
        ("DELETE", [id]) => {
            let network = call.engine().network(id)?;
            let words = format!(
                "{} is a pre-defined network and cannot be removed",
                network.name
            );
            Err(ApiError::new(StatusCode::FORBIDDEN, words))
        }
        ("POST", ["create"]) => Err(ApiError::not_here("creating networks")),
        ("POST", [_, "connect" | "disconnect"]) => {
            Err(ApiError::not_here("connecting to networks"))
        }
        _ => Err(ApiError::no_such_page()),
    }
}
