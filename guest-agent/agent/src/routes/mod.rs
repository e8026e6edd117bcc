//! Routes, by noun: each parses a request, calls the engine once and translates the answer.

mod archive;
mod commit;
mod containers;
mod exec;
mod images;
mod networks;
mod proa;
mod system;
mod tunnel;
mod volumes;

use hyper::Method;

use crate::server::{Answer, ApiError, Call};

/// The API's version as a header says it.
pub(crate) const API_VERSION_TEXT: &str = "1.51";
/// What the header `Server` says.
pub(crate) const SERVER_TEXT: &str =
    concat!("Docker/28.5.2+proa.", env!("CARGO_PKG_VERSION"), " (linux)");

/// Answers a request by its path's segments.
pub(crate) async fn answer(method: &Method, path: &[&str], call: Call) -> Answer {
    match path {
        ["containers", rest @ ..] => containers::answer(method, rest, call).await,
        ["exec", rest @ ..] => exec::answer(method, rest, call).await,
        ["images", rest @ ..] => images::answer(method, rest, call).await,
        ["volumes", rest @ ..] => volumes::answer(method, rest, call).await,
        ["networks", rest @ ..] => networks::answer(method, rest, call).await,
        ["proa", "v1", rest @ ..] => proa::answer(method, rest, call).await,
        ["distribution", name @ .., "json"] if !name.is_empty() => {
            images::distribution(method, name, call).await
        }
        ["commit"] if method == Method::POST => commit::commit(call).await,
        ["build", ..] | ["session" | "grpc"] => Err(ApiError::not_here("build")),
        ["plugins"] if method == Method::GET => {
            crate::server::json(hyper::StatusCode::OK, &[(); 0])
        }
        ["plugins", ..] => Err(ApiError::not_here("plugins")),
        [
            "swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs",
            ..,
        ] => Err(ApiError::new(
            hyper::StatusCode::SERVICE_UNAVAILABLE,
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this \
             node to swarm and try again.",
        )),
        _ => system::answer(method, path, call).await,
    }
}
