//! `/proa/v1/…`: what Docker's API lacks.

mod fsevents;
mod health;
mod machine;
mod volumes;
mod xray;

use hyper::Method;

use super::tunnel;
use crate::server::{Answer, ApiError, Call};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", ["health"]) => health::answer(&call).await,
        ("GET", ["xray", container, "path"]) => xray::request_path(&call, container).await,
        ("POST", ["tunnel"]) => tunnel::open(call).await,
        ("POST", ["clock"]) => machine::clock(call).await,
        ("POST", ["shutdown"]) => machine::shutdown(&call).await,
        ("POST", ["fsevents"]) => fsevents::answer(call).await,
        ("GET", ["shares"]) => machine::shares(),
        ("PUT", ["shares"]) => machine::share(call).await,
        (_, ["volumes", rest @ ..]) => volumes::answer(method, rest, call).await,
        _ => Err(ApiError::no_such_page()),
    }
}
