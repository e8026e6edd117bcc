//! `/proa/v1/volumes/…`: volumes saved, put back, cloned and looked into.

use hyper::{Method, StatusCode};
use proa_engine::volumes::{BrowseOptions, RestoreOptions};

use super::super::images::blocking;
use crate::server::{self, Answer, ApiError, Call, json, pipe};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", [name, "backup"]) => backup(name, &call).await,
        ("PUT", [name, "restore"]) => restore(name, call).await,
        ("POST", [name, "clone"]) => clone(name, &call).await,
        ("GET", [name, "browse"]) => browse(name, &call).await,
        _ => Err(ApiError::no_such_page()),
    }
}

/// `GET /proa/v1/volumes/{name}/backup`
async fn backup(name: &str, call: &Call) -> Answer {
    let still = call.query.truth_or("pause", true);
    let backup = call.engine().volume_backup(name, still).await?;
    let (mut writer, stream) = pipe::writer();
    let name = name.to_owned();
    tokio::task::spawn_blocking(move || match backup.write(&mut writer) {
        Ok(()) => drop(writer.finish()),
        Err(error) => tracing::info!("send a backup of volume {name}: {error}"),
    });
    server::stream("application/zstd", stream)
}

/// `PUT /proa/v1/volumes/{name}/restore`
async fn restore(name: &str, call: Call) -> Answer {
    let options = RestoreOptions {
        replace: call.query.truth("replace"),
    };
    let engine = call.engine().clone();
    let copy = engine.volume_restore_begin(name, options)?;
    let body = pipe::reader(call.pieces());
    let read = move || copy.read(body).map(|()| copy);
    let copy = blocking(read).await??;
    json(
        StatusCode::CREATED,
        &engine.volume_restore_end(name, copy, options).await?,
    )
}

/// `POST /proa/v1/volumes/{name}/clone?to=…`
async fn clone(name: &str, call: &Call) -> Answer {
    let to = call.query.text("to");
    if to.is_empty() {
        return Err(ApiError::bad("clone a volume: name the new one with `to`"));
    }
    let still = call.query.truth_or("pause", true);
    json(
        StatusCode::CREATED,
        &call.engine().volume_clone(name, to, still).await?,
    )
}

/// `GET /proa/v1/volumes/{name}/browse?path=…&offset=…&limit=…`
async fn browse(name: &str, call: &Call) -> Answer {
    let natural = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    let options = BrowseOptions {
        path: call.query.text("path").to_owned(),
        offset: natural(call.query.number("offset")?).unwrap_or_default(),
        limit: natural(call.query.number("limit")?),
    };
    json(
        StatusCode::OK,
        &call.engine().volume_browse(name, options).await?,
    )
}
