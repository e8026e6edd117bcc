//! `POST /commit`: an image of what a container has changed.

use hyper::StatusCode;
use proa_engine::container::commit::CommitOptions;
use proa_protocol::{ContainerConfig, IdResponse};

use crate::server::{Answer, Call, call::bad_json, json};

/// Makes the image.
pub(super) async fn commit(mut call: Call) -> Answer {
    let bytes = call.whole_body().await?;
    let config = match bytes.trim_ascii() {
        b"" | b"null" => None,
        text => serde_json::from_slice::<ContainerConfig>(text)
            .map(|config| Some(config).filter(|config| *config != ContainerConfig::default()))
            .map_err(|e| bad_json(&bytes, &e))?,
    };
    let container = call.engine().container(call.query.text("container"))?;
    let options = CommitOptions {
        repository: call.query.text("repo").to_owned(),
        tag: call.query.text("tag").to_owned(),
        comment: call.query.text("comment").to_owned(),
        author: call.query.text("author").to_owned(),
        pause: call.query.truth_or("pause", true),
        changes: call.query.all("changes").map(str::to_owned).collect(),
        config,
    };
    let id = container.commit(options).await?;
    json(StatusCode::CREATED, &IdResponse { id })
}
