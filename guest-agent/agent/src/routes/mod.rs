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

use proa_protocol::BuildPruneResponse;

use crate::server::{self, Answer, ApiError, Call};

/// The API's version as a header says it.
pub(crate) const API_VERSION_TEXT: &str = "1.53";
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
        // Nothing is cached as long as nothing is built.
        ["build", "prune"] if method == Method::POST => {
            call.filters()?;
            call.engine().tell_builder_prune();
            server::json(hyper::StatusCode::OK, &BuildPruneResponse::default())
        }
        ["build", ..] | ["session" | "grpc"] => Err(ApiError::not_here("build")),
        ["plugins"] if method == Method::GET => {
            crate::server::json(hyper::StatusCode::OK, &[(); 0])
        }
        ["plugins", rest @ ..] => plugins(method, rest),
        ["swarm", "leave"] if method == Method::POST => {
            Err(no_swarm("This node is not part of a swarm"))
        }
        [
            "swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs",
            ..,
        ] => Err(no_swarm(NOT_A_MANAGER)),
        _ => system::answer(method, path, call).await,
    }
}

/// The words for whatever needs a manager of a swarm; clients look for them.
const NOT_A_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to \
                             connect this node to swarm and try again.";

fn no_swarm(words: &str) -> ApiError {
    ApiError::new(hyper::StatusCode::SERVICE_UNAVAILABLE, words)
}

/// There are none: what asks for one by name is told so.
fn plugins(method: &Method, path: &[&str]) -> Answer {
    match (method.as_str(), path) {
        ("GET" | "DELETE" | "POST", [name @ .., _]) if !name.is_empty() => {
            let name = name.join("/");
            let words = format!("plugin {name:?} not found");
            Err(ApiError::new(hyper::StatusCode::NOT_FOUND, words))
        }
        _ => Err(ApiError::not_here("plugins")),
    }
}
