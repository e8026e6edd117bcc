//! `/volumes/…`

use hyper::{Method, StatusCode};
use proa_protocol::VolumeCreateBody;

use crate::server::{Answer, ApiError, Call, json, no_content};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", []) => {
            let filters = call.filters()?;
            json(StatusCode::OK, &call.engine().volume_list(&filters)?)
        }
        ("POST", ["create"]) => create(call).await,
        ("POST", ["prune"]) => prune(&call).await,
        ("GET", [name]) => json(StatusCode::OK, &call.engine().volume_inspect(name)?),
        ("DELETE", [name]) => {
            let force = call.query.truth("force");
            call.engine().volume_remove(name, force).await?;
            no_content()
        }
        _ => Err(ApiError::no_such_page()),
    }
}

/// `POST /volumes/create`
async fn create(mut call: Call) -> Answer {
    let body: VolumeCreateBody = call.json().await?;
    json(
        StatusCode::CREATED,
        &call.engine().volume_create(body).await?,
    )
}

/// `POST /volumes/prune`: before version 1.42 it took named volumes too.
async fn prune(call: &Call) -> Answer {
    let named_too = !call.speaks(42);
    json(
        StatusCode::OK,
        &call
            .engine()
            .volume_prune(&call.filters()?, named_too)
            .await?,
    )
}
