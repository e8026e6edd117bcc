//! What the kernel holds for a container.

use hyper::StatusCode;
use proa_engine::xray::path::{self, PathOptions};

use crate::server::{Answer, Call, json};

/// `GET /proa/v1/xray/{container}/path`
pub(super) async fn request_path(call: &Call, container: &str) -> Answer {
    let options = PathOptions {
        port: path::port(call.query.number("port")?)?,
        udp: call.query.text("protocol") == "udp",
        probe: call.query.truth_or("probe", true),
    };
    let path = call.engine().request_path(container, options).await?;
    json(StatusCode::OK, &path)
}
