//! The engine itself: `/_ping`, `/version`, `/info`, `/events`, `/system/df`, `/auth`.

use bytes::Bytes;
use futures_util::StreamExt;
use hyper::header::{CACHE_CONTROL, HeaderValue, PRAGMA};
use hyper::{Method, StatusCode};
use proa_engine::events::EventOptions;
use proa_engine::system::DiskUsageOf;
use proa_protocol::AuthConfig;

use crate::server::{self, Answer, ApiError, Call, json, text};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET" | "HEAD", ["_ping"]) => ping(method),
        ("GET", ["version"]) => json(StatusCode::OK, &call.engine().version()),
        ("GET", ["info"]) => json(StatusCode::OK, &call.engine().info().await?),
        ("GET", ["events"]) => events(&call),
        ("GET", ["system", "df"]) => disk_usage(&call).await,
        ("POST", ["auth"]) => auth(call).await,
        _ => Err(ApiError::no_such_page()),
    }
}

/// `GET /_ping`, `HEAD /_ping`
fn ping(method: &Method) -> Answer {
    let words = if method == Method::HEAD { "" } else { "OK" };
    let mut response = text(StatusCode::OK, words)?;
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert("builder-version", HeaderValue::from_static("1"));
    headers.insert("swarm", HeaderValue::from_static("inactive"));
    Ok(response)
}

/// `GET /events`
fn events(call: &Call) -> Answer {
    let options = EventOptions {
        since: call.wish("since"),
        until: call.wish("until"),
        filters: call.filters()?,
    };
    let lines = call.engine().events(options)?.map(|event| {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        Ok(Bytes::from(line))
    });
    server::stream("application/json", lines)
}

/// `GET /system/df?type=…`
async fn disk_usage(call: &Call) -> Answer {
    let mut of = DiskUsageOf::default();
    for kind in call.query.all("type") {
        match kind {
            "image" => of.images = true,
            "container" => of.containers = true,
            "volume" => of.volumes = true,
            "build-cache" => of.build_cache = true,
            other => return Err(ApiError::bad(format!("unknown object type: {other}"))),
        }
    }
    if call.query.opt("type").is_none() {
        of = DiskUsageOf::all();
    }
    json(StatusCode::OK, &call.engine().disk_usage(of).await?)
}

/// `POST /auth`: tries credentials at their registry.
async fn auth(mut call: Call) -> Answer {
    let credentials: AuthConfig = call.json().await?;
    json(
        StatusCode::OK,
        &call
            .engine()
            .log_in(credentials.with_decoded_auth())
            .await?,
    )
}
