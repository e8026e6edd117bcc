//! `/containers/…`

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hyper::{Method, StatusCode};
use proa_engine::ListOptions;
use proa_engine::container::attach::AttachOptions;
use proa_engine::container::{
    LogOptions, RemoveOptions, Started, StopOptions, Stopped, WaitCondition,
};
use proa_protocol::shape::{self, Shape};
use proa_protocol::{ContainerConfig, ContainerCreateBody, ContainerUpdateBody, ExecCreateBody};

use super::archive;
use crate::hello;
use crate::server::{
    self, Answer, ApiError, Call, MULTIPLEXED, RAW, call::bad_json, hijack, json, no_content,
    shaped,
};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", ["json"]) => list(call).await,
        ("POST", ["create"]) => create(call).await,
        ("POST", ["prune"]) => prune(call).await,
        ("DELETE", [id]) => remove(id, &call).await,
        ("GET", [id, verb]) => read(id, verb, call).await,
        ("POST", [id, verb]) => change(id, verb, call).await,
        ("GET", [id, "attach", "ws"]) => attach_web_socket(id, call).await,
        ("HEAD", [id, "archive"]) => archive::stat(id, &call).await,
        ("PUT", [id, "archive"]) => archive::put(id, call).await,
        _ => Err(ApiError::no_such_page()),
    }
}

async fn read(id: &str, verb: &str, call: Call) -> Answer {
    match verb {
        "json" => inspect(id, &call).await,
        "logs" => logs(id, &call).await,
        "top" => top(id, &call).await,
        "stats" => stats(id, &call).await,
        "changes" => changes(id, &call).await,
        "archive" => archive::fetch(id, &call).await,
        "export" => archive::export(id, &call).await,
        _ => Err(ApiError::no_such_page()),
    }
}

async fn change(id: &str, verb: &str, call: Call) -> Answer {
    match verb {
        "start" => start(id, call).await,
        "stop" => stop(id, &call).await,
        "restart" => restart(id, &call).await,
        "kill" => kill(id, &call).await,
        "pause" => pause(id, &call).await,
        "unpause" => unpause(id, &call).await,
        "wait" => wait(id, &call),
        "attach" => attach(id, call).await,
        "resize" => resize(id, &call).await,
        "rename" => rename(id, &call).await,
        "update" => update(id, call).await,
        "exec" => exec(id, call).await,
        _ => Err(ApiError::no_such_page()),
    }
}

/// `GET /containers/json`
async fn list(call: Call) -> Answer {
    let limit = call
        .query
        .number("limit")?
        .and_then(|limit| usize::try_from(limit).ok())
        .filter(|limit| *limit > 0);
    let options = ListOptions {
        all: call.query.truth("all"),
        limit,
        size: call.query.truth("size"),
        filters: call.filters()?,
    };
    let list = call.engine().list(options).await?;
    shaped(&call, Shape::ContainerList, &list)
}

/// `POST /containers/create`
async fn create(mut call: Call) -> Answer {
    let bytes = call.json_bytes().await?;
    if bytes.is_empty() {
        return Err(ApiError::bad(
            "invalid JSON: got EOF while reading request body",
        ));
    }
    let body = ContainerCreateBody::from_json(&bytes).map_err(|e| bad_json(&bytes, &e))?;
    if body.config == ContainerConfig::default() {
        return Err(ApiError::bad(
            "config cannot be empty in order to create a container",
        ));
    }
    if hello::is_meant(&body.config.image) {
        hello::bring(call.engine()).await?;
    }
    let name = call.query.opt("name").filter(|name| !name.is_empty());
    let platform = call
        .query
        .opt("platform")
        .filter(|platform| !platform.is_empty());
    json(
        StatusCode::CREATED,
        &call.engine().create(name, platform, body).await?,
    )
}

/// A body without content: `null`, `{}`, and some white space.
const LONGEST_OF_NOTHING: usize = 7;

/// `POST /containers/{id}/start`
async fn start(id: &str, mut call: Call) -> Answer {
    let container = call.engine().container(id)?;
    // Docker took a host configuration here once; a client that still sends one would be misunderstood.
    if call.whole_body().await?.len() > LONGEST_OF_NOTHING {
        return Err(ApiError::bad(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        ));
    }
    Ok(
        match container.start(call.wish("detachKeys").as_deref()).await? {
            Started::Now => no_content()?,
            Started::Already => server::status(StatusCode::NOT_MODIFIED)?,
        },
    )
}

/// What `stop` and `restart` share.
fn stop_options(call: &Call) -> Result<StopOptions, ApiError> {
    Ok(StopOptions {
        signal: call.wish("signal"),
        timeout: call.query.number("t")?,
    })
}

/// `POST /containers/{id}/stop`
async fn stop(id: &str, call: &Call) -> Answer {
    let options = stop_options(call)?;
    match call.engine().container(id)?.stop(options).await? {
        Stopped::Now => no_content(),
        Stopped::Already => server::status(StatusCode::NOT_MODIFIED),
    }
}

/// `POST /containers/{id}/restart`
async fn restart(id: &str, call: &Call) -> Answer {
    let options = stop_options(call)?;
    call.engine().container(id)?.restart(options).await?;
    no_content()
}

/// `POST /containers/{id}/kill`
async fn kill(id: &str, call: &Call) -> Answer {
    call.engine()
        .container(id)?
        .kill(id, call.wish("signal").as_deref())
        .await?;
    no_content()
}

/// `POST /containers/{id}/pause`
async fn pause(id: &str, call: &Call) -> Answer {
    call.engine().container(id)?.pause().await?;
    no_content()
}

/// `POST /containers/{id}/unpause`
async fn unpause(id: &str, call: &Call) -> Answer {
    call.engine().container(id)?.unpause().await?;
    no_content()
}

/// `POST /containers/{id}/wait`: the head goes out at once, because a client that is about to start the container
/// waits for it.
fn wait(id: &str, call: &Call) -> Answer {
    let condition = match call.query.text("condition") {
        "" | "not-running" => WaitCondition::NotRunning,
        "next-exit" => WaitCondition::NextExit,
        "removed" => WaitCondition::Removed,
        other => return Err(ApiError::bad(format!("invalid condition: {other:?}"))),
    };
    let waiting = call.engine().container(id)?.wait(condition);
    let answer = async move {
        let mut bytes = serde_json::to_vec(&waiting.await)?;
        bytes.push(b'\n');
        Ok(Bytes::from(bytes))
    };
    server::stream("application/json", stream::once(answer))
}

/// `POST /containers/{id}/attach`
async fn attach(id: &str, call: Call) -> Answer {
    let options = attach_options(&call);
    let attached = call.engine().container(id)?.attach(options).await?;
    hijack(call, attached)
}

/// `GET /containers/{id}/attach/ws`
async fn attach_web_socket(id: &str, call: Call) -> Answer {
    let container = call.engine().container(id)?;
    let key = server::web_socket_key(&call)?;
    let attached = container.attach(attach_options(&call)).await?;
    server::web_socket(call, &key, attached)
}

fn attach_options(call: &Call) -> AttachOptions {
    AttachOptions {
        stdin: call.query.truth("stdin"),
        stdout: call.query.truth("stdout"),
        stderr: call.query.truth("stderr"),
        logs: call.query.truth("logs"),
        stream: call.query.truth("stream"),
        detach_keys: call.wish("detachKeys"),
    }
}

/// `POST /containers/{id}/resize?h=…&w=…`
async fn resize(id: &str, call: &Call) -> Answer {
    let (height, width) = size(call)?;
    call.engine().container(id)?.resize(height, width).await?;
    server::status(StatusCode::OK)
}

/// A terminal's size. Docker's words for a size that is none.
pub(super) fn size(call: &Call) -> Result<(u16, u16), ApiError> {
    let side = |name| {
        let text = call.query.text(name);
        text.parse()
            .map_err(|_| ApiError::bad(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))
    };
    Ok((side("h")?, side("w")?))
}

/// `POST /containers/{id}/rename?name=…`
async fn rename(id: &str, call: &Call) -> Answer {
    call.engine()
        .container(id)?
        .rename(call.query.text("name"))
        .await?;
    no_content()
}

/// `POST /containers/{id}/update`
async fn update(id: &str, mut call: Call) -> Answer {
    let body: ContainerUpdateBody = call.json().await?;
    json(
        StatusCode::OK,
        &call.engine().container(id)?.update(body).await?,
    )
}

/// `POST /containers/{id}/exec`
async fn exec(id: &str, mut call: Call) -> Answer {
    let body: ExecCreateBody = call.json().await?;
    if body.cmd.as_ref().is_none_or(|words| words.is_empty()) {
        return Err(ApiError::bad("No exec command specified"));
    }
    json(
        StatusCode::CREATED,
        &call.engine().container(id)?.exec(body).await?,
    )
}

/// `DELETE /containers/{id}`
async fn remove(id: &str, call: &Call) -> Answer {
    let options = RemoveOptions {
        force: call.query.truth("force"),
        volumes: call.query.truth("v"),
        link: call.query.truth("link"),
    };
    call.engine().container(id)?.remove(options).await?;
    no_content()
}

/// `POST /containers/prune`
async fn prune(call: Call) -> Answer {
    json(
        StatusCode::OK,
        &call.engine().prune_containers(call.filters()?).await?,
    )
}

/// `GET /containers/{id}/json`
async fn inspect(id: &str, call: &Call) -> Answer {
    let container = call.engine().container(id)?;
    let mut document = container.inspect(call.query.truth("size")).await?;
    if !call.speaks(45) {
        // The short id was an alias until then.
        let short = document.id.get(..12).unwrap_or_default().to_owned();
        let networks = document.network_settings.networks.iter_mut().flatten();
        for (_, place) in networks.filter(|(name, _)| name.as_str() != "bridge") {
            if place.dns_names.is_some() {
                place.aliases.get_or_insert_default().push(short.clone());
            }
        }
    }
    if !call.speaks(52) {
        return shaped(call, Shape::Container, &document);
    }
    let mut document = server::value(&document)?;
    shape::fit(&mut document, Shape::Container, call.version);
    if document["Config"]["OnBuild"]
        .as_array()
        .is_none_or(Vec::is_empty)
        && let Some(config) = document["Config"].as_object_mut()
    {
        config.remove("OnBuild");
    }
    json(StatusCode::OK, &document)
}

/// `GET /containers/{id}/top`
async fn top(id: &str, call: &Call) -> Answer {
    let arguments = call.wish("ps_args");
    json(
        StatusCode::OK,
        &call
            .engine()
            .container(id)?
            .top(arguments.as_deref())
            .await?,
    )
}

/// `GET /containers/{id}/changes`
async fn changes(id: &str, call: &Call) -> Answer {
    json(
        StatusCode::OK,
        &call.engine().container(id)?.changes().await?,
    )
}

/// `GET /containers/{id}/logs`
async fn logs(id: &str, call: &Call) -> Answer {
    let options = LogOptions {
        stdout: call.query.truth("stdout"),
        stderr: call.query.truth("stderr"),
        follow: call.query.truth("follow"),
        timestamps: call.query.truth("timestamps"),
        details: call.query.truth("details"),
        since: call.wish("since"),
        until: call.wish("until"),
        tail: call.wish("tail"),
    };
    if !(options.stdout || options.stderr) {
        return Err(ApiError::bad(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let logs = call.engine().container(id)?.logs(options).await?;
    let kind = if logs.tty || !call.speaks(42) {
        RAW
    } else {
        MULTIPLEXED
    };
    server::stream(kind, logs.output)
}

/// `GET /containers/{id}/stats`
async fn stats(id: &str, call: &Call) -> Answer {
    let container = call.engine().container(id)?;
    if !call.query.truth_or("stream", true) {
        let one_shot = call.speaks(41) && call.query.truth("one-shot");
        return shaped(call, Shape::Stats, &container.stats(one_shot).await?);
    }
    let version = call.version;
    let fits = shape::fits(Shape::Stats, version);
    let documents = container.stats_stream()?.map(move |document| {
        let document = document.map_err(|e| std::io::Error::other(e.told()))?;
        let mut line = if fits {
            serde_json::to_vec(&document)?
        } else {
            let mut document = serde_json::to_value(&document)?;
            shape::fit(&mut document, Shape::Stats, version);
            serde_json::to_vec(&document)?
        };
        line.push(b'\n');
        Ok(Bytes::from(line))
    });
    server::stream("application/json", documents)
}
