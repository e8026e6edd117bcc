//! `/images/…`: names may hold slashes, so verbs are looked for at the end of the path.

use hyper::{Method, StatusCode};
use proa_engine::ImageSource;
use proa_engine::images::changes;
use proa_protocol::ContainerConfig;
use proa_protocol::progress::Progress;
use proa_protocol::shape::{self, Shape};

use crate::hello;
use crate::server::{self, Answer, ApiError, Call, Lines, json, pipe, shaped};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], call: Call) -> Answer {
    match (method.as_str(), path) {
        ("GET", ["json"]) => list(&call).await,
        ("GET", ["search"]) => search(&call).await,
        ("GET", ["get"]) => {
            let names = call
                .query
                .all("names")
                .flat_map(|names| names.split(','))
                .map(str::to_owned)
                .collect();
            save(names, &call)
        }
        ("POST", ["create"]) => create(call).await,
        ("POST", ["load"]) => load(call).await,
        ("POST", ["prune"]) => json(
            StatusCode::OK,
            &call.engine().image_prune(&call.filters()?)?,
        ),
        ("GET", [name @ .., "json"]) if !name.is_empty() => inspect(&name.join("/"), &call),
        ("GET", [name @ .., "history"]) if !name.is_empty() => json(
            StatusCode::OK,
            &call.engine().image_history(&name.join("/"))?,
        ),
        ("GET", [name @ .., "get"]) if !name.is_empty() => save(vec![name.join("/")], &call),
        ("POST", [name @ .., "push"]) if !name.is_empty() => push(name.join("/"), call).await,
        ("POST", [name @ .., "tag"]) if !name.is_empty() => tag(&name.join("/"), &call),
        ("DELETE", name) if !name.is_empty() => remove(&name.join("/"), &call),
        _ => Err(ApiError::no_such_page()),
    }
}

/// `GET /images/json`
async fn list(call: &Call) -> Answer {
    let usage = call.query.truth("shared-size");
    let mut list = call
        .engine()
        .image_list(&call.filters()?, call.query.truth("all"), usage)
        .await?;
    if !call.speaks(44) {
        for line in &mut list {
            line.virtual_size = line.size;
        }
    }
    shaped(call, Shape::ImageList, &list)
}

/// `GET /images/{name}/json`
fn inspect(name: &str, call: &Call) -> Answer {
    let mut document = call.engine().image_inspect(name)?;
    if !call.speaks(44) {
        document.virtual_size = document.size;
    }
    if !call.speaks(45) {
        document.container_config = Some(ContainerConfig::default());
    }
    let config = document.config.take();
    let mut document = server::value(&document)?;
    shape::fit(&mut document, Shape::Image, call.version);
    document["Config"] = server::value(&config)?;
    if !call.speaks(50) {
        // Until then an image's defaults were worded as a container's configuration, empty fields and all.
        let unwritable =
            |e: serde_json::Error| ApiError::internal(format!("write the answer: {e}"));
        let config: ContainerConfig =
            serde_json::from_value(document["Config"].take()).map_err(unwritable)?;
        document["Config"] = server::value(&config)?;
    }
    if call.speaks(52)
        && let Some(fields) = document.as_object_mut()
    {
        let old = ["Parent", "Comment", "DockerVersion", "Author"];
        fields.retain(|name, value| !old.contains(&name.as_str()) || value != "");
    }
    json(StatusCode::OK, &document)
}

/// `POST /images/{name}/tag?repo=…&tag=…`
fn tag(name: &str, call: &Call) -> Answer {
    call.engine()
        .image_tag(name, call.query.text("repo"), call.query.text("tag"))?;
    server::accepted()
}

/// `DELETE /images/{name}`
fn remove(name: &str, call: &Call) -> Answer {
    let (force, keep_parents) = (call.query.truth("force"), call.query.truth("noprune"));
    json(
        StatusCode::OK,
        &call.engine().image_remove(name, force, keep_parents)?,
    )
}

/// `POST /images/create`: a pull, or an import of the body.
async fn create(call: Call) -> Answer {
    let image = call.query.text("fromImage").to_owned();
    if image.is_empty() {
        return import(call).await;
    }
    let tag = call.query.text("tag").to_owned();
    if hello::is_meant(&image) && matches!(tag.as_str(), "" | "latest") {
        hello::bring(call.engine()).await?;
        let tell = |lines: Lines| async move {
            for line in &hello::told() {
                lines.put(line);
            }
            Ok(())
        };
        return Lines::answer(tell).await;
    }
    let source = ImageSource {
        name: image,
        tag,
        platform: call.wish("platform"),
        credentials: call.credentials(),
    };
    let engine = call.engine().clone();
    // A name with neither tag nor digest means all of the repository's tags.
    let bare = source
        .name
        .rsplit('/')
        .next()
        .is_some_and(|last| !last.contains([':', '@']));
    let all = source.tag.is_empty() && bare;
    let pull = |lines: Lines| async move {
        if all {
            engine
                .image_pull_all(&source, |line| lines.put(&line))
                .await?;
        } else {
            engine.image_pull(&source, |line| lines.put(&line)).await?;
        }
        Ok(())
    };
    Lines::answer(pull).await
}

/// `POST /images/{name}/push`
async fn push(name: String, call: Call) -> Answer {
    let source = ImageSource {
        name,
        tag: call.query.text("tag").to_owned(),
        platform: call.wish("platform"),
        credentials: call.credentials(),
    };
    let engine = call.engine().clone();
    let push = |lines: Lines| async move {
        engine.image_push(&source, |line| lines.put(&line)).await?;
        Ok(())
    };
    Lines::answer(push).await
}

/// `POST /images/create?fromSrc=…`
async fn import(call: Call) -> Answer {
    let source = call.query.text("fromSrc").to_owned();
    if source != "-" {
        return Err(ApiError::not_here("importing from a URL"));
    }
    let (repository, tag) = (
        call.query.text("repo").to_owned(),
        call.query.text("tag").to_owned(),
    );
    let message = call.query.text("message").to_owned();
    let mut base = proa_engine::images::ImageConfig::default();
    changes::apply(&mut base.config, call.query.all("changes"))
        .map_err(|e| ApiError::bad(e.to_string()))?;
    let engine = call.engine().clone();
    let body = pipe::reader(call.pieces());
    let import = |lines: Lines| async move {
        let name = (!repository.is_empty()).then_some((repository.as_str(), tag.as_str()));
        let name = name.map(|(repository, tag)| (repository.to_owned(), tag.to_owned()));
        let work = move || {
            let name = name
                .as_ref()
                .map(|(repository, tag)| (repository.as_str(), tag.as_str()));
            engine.image_import(body, name, &message, base)
        };
        let id = blocking(work).await??;
        lines.put(&Progress::status(id));
        Ok(())
    };
    Lines::answer(import).await
}

/// `POST /images/load`
async fn load(call: Call) -> Answer {
    let quiet = call.query.truth_or("quiet", true);
    let engine = call.engine().clone();
    let body = pipe::reader(call.pieces());
    let load = |lines: Lines| async move {
        let told = lines.clone();
        let say = move |line: Progress| {
            if !quiet || line.detail.is_none() {
                told.put(&line);
            }
        };
        // Docker has answered by the time it reads the archive: what is wrong with it is the stream's last line.
        if let Err(refused) = blocking(move || engine.image_load(body, say)).await? {
            lines.put(&Progress::failed(ApiError::from(refused).message));
        }
        Ok(())
    };
    Lines::answer(load).await
}

/// `GET /images/get?names=…`
fn save(names: Vec<String>, call: &Call) -> Answer {
    if names.is_empty() {
        return Err(ApiError::bad("no images to save"));
    }
    // What does not exist is refused before the first byte.
    for name in &names {
        if call.engine().images().find(name).is_err() {
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                format!("No such image: {name}"),
            ));
        }
    }
    let engine = call.engine().clone();
    let (mut writer, stream) = pipe::writer();
    tokio::task::spawn_blocking(move || match engine.image_save(&names, &mut writer) {
        Ok(()) => drop(writer.finish()),
        Err(e) => tracing::warn!("save {}: {}", names.join(" "), e.told()),
    });
    server::stream("application/x-tar", stream)
}

/// `GET /images/search`
async fn search(call: &Call) -> Answer {
    let term = call.query.text("term");
    let limit = call
        .query
        .number("limit")?
        .filter(|limit| *limit != 0)
        .unwrap_or(25);
    if !(1..=100).contains(&limit) {
        return Err(ApiError::bad(format!(
            "limit {limit} is outside the range of [1, 100]"
        )));
    }
    let (auth, filters) = (call.credentials(), call.filters()?);
    json(
        StatusCode::OK,
        &call
            .engine()
            .image_search(term, limit as usize, auth, &filters)
            .await?,
    )
}

/// `GET /distribution/{name}/json`
pub(super) async fn distribution(method: &Method, name: &[&str], call: Call) -> Answer {
    if method != Method::GET {
        return Err(ApiError::no_such_page());
    }
    let (name, auth) = (name.join("/"), call.credentials());
    let found = call.engine().image_distribution(&name, auth);
    json(StatusCode::OK, &found.await?)
}

/// Runs work that blocks.
pub(in crate::routes) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| ApiError::internal(format!("the work was broken off: {e}")))
}
