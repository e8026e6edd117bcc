//! The engine itself: `/_ping`, `/version`, `/info`, `/events`, `/system/df`, `/auth`.

use bytes::Bytes;
use futures_util::StreamExt;
use hyper::header::{ACCEPT, CACHE_CONTROL, HeaderValue, PRAGMA};
use hyper::{Method, StatusCode};
use proa_engine::events::EventOptions;
use proa_engine::system::{DiskUsageOf, usage};
use proa_protocol::shape::{self, Shape};
use proa_protocol::{AuthConfig, UsageSummary};
use serde_json::Map;

use crate::metrics;
use crate::server::{self, Answer, ApiError, Call, json, shaped, text};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET" | "HEAD", ["_ping"]) => ping(method),
        ("GET", ["version"]) => json(StatusCode::OK, &call.engine().version()),
        ("GET", ["info"]) => info(&call).await,
        ("GET", ["events"]) => events(&call),
        ("GET", ["system", "df"]) => disk_usage(&call).await,
        ("POST", ["auth"]) => auth(call).await,
        ("GET", ["metrics"]) => metrics(&call).await,
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

/// `GET /info`
async fn info(call: &Call) -> Answer {
    let mut info = call.engine().info().await?;
    info.kernel_memory = info.memory_limit && !call.speaks(42);
    shaped(call, Shape::Info, &info)
}

/// What stands before each event of a sequence (RFC 7464).
const RECORD_SEPARATOR: u8 = 0x1e;

/// `GET /events`
fn events(call: &Call) -> Answer {
    let options = EventOptions {
        since: call.wish("since"),
        until: call.wish("until"),
        filters: call.filters()?,
    };
    let kind = event_type(call);
    let version = call.version;
    let fits = shape::fits(Shape::Event, version);
    let lines = call.engine().events(options)?.map(move |event| {
        let mut line = Vec::with_capacity(512);
        if kind == SEQUENCE {
            line.push(RECORD_SEPARATOR);
        }
        if fits {
            serde_json::to_writer(&mut line, &event)?;
        } else {
            let mut document = serde_json::to_value(&event)?;
            shape::fit(&mut document, Shape::Event, version);
            serde_json::to_writer(&mut line, &document)?;
        }
        line.push(b'\n');
        Ok(Bytes::from(line))
    });
    server::stream(kind, lines)
}

const SEQUENCE: &str = "application/json-seq";

/// The form in which a client wants its events: the first that it names and we have.
fn event_type(call: &Call) -> &'static str {
    let known = [
        (52, SEQUENCE),
        (52, "application/x-ndjson"),
        (53, "application/jsonl"),
    ];
    let asked = call.head.headers.get_all(ACCEPT).iter();
    let mut asked = asked
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|kind| kind.split(';').next().unwrap_or_default().trim());
    asked
        .find_map(|kind| {
            let found = known.iter().find(|(_, name)| *name == kind)?;
            call.speaks(found.0).then_some(found.1)
        })
        .unwrap_or("application/json")
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
    let mut usage = call.engine().disk_usage(of).await?;
    if !call.speaks(44) {
        for image in usage.images.iter_mut().flatten() {
            image.virtual_size = image.size;
        }
    }
    if !call.speaks(52) {
        return shaped(call, Shape::DiskUsage, &usage);
    }
    let verbose = call.query.truth("verbose");
    let mut answer = Map::new();
    // For one version both forms were sent.
    if !verbose && !call.speaks(53) {
        let mut old = server::value(&usage)?;
        shape::fit(&mut old, Shape::DiskUsage, call.version);
        answer.extend(old.as_object_mut().map(std::mem::take).unwrap_or_default());
    }
    let of_kind = [
        (
            "ImageUsage",
            usage::images(&usage),
            server::value(&usage.images)?,
        ),
        (
            "ContainerUsage",
            usage::containers(&usage),
            server::value(&usage.containers)?,
        ),
        (
            "VolumeUsage",
            usage::volumes(&usage),
            server::value(&usage.volumes)?,
        ),
        (
            "BuildCacheUsage",
            of.build_cache.then(UsageSummary::default),
            server::value(&[(); 0])?,
        ),
    ];
    for (name, summary, items) in of_kind {
        let Some(summary) = summary else { continue };
        let mut summary = server::value(&summary)?;
        if verbose {
            summary["Items"] = items;
        }
        answer.insert(name.to_owned(), summary);
    }
    json(StatusCode::OK, &answer)
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

/// `GET /metrics`, for Prometheus.
async fn metrics(call: &Call) -> Answer {
    let told = metrics::told(call.engine()).await?;
    server::bytes(metrics::TYPE, told.into())
}
