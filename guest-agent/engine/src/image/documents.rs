//! The store's values in Docker's words.

use proa_images::{ContainerDefaults, HistoryLine, Image};
use proa_protocol::{
    GraphDriver, HealthConfig, HistoryEntry, ImageConfig, ImageInspect, ImageMetadata,
    ImageSummary, RootFs, TextMap, Words, timestamp,
};

/// A list that is absent when it holds nothing.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

pub(super) fn summary(image: &Image) -> ImageSummary {
    let labels = &image.config().config.labels;
    ImageSummary {
        containers: -1,
        created: image.created(),
        id: image.id().to_string(),
        labels: (!labels.is_empty()).then(|| labels.clone()),
        parent_id: image.parent().map(ToString::to_string).unwrap_or_default(),
        repo_digests: Some(
            image
                .digests()
                .iter()
                .map(proa_images::Reference::familiar)
                .collect(),
        ),
        repo_tags: image
            .tags()
            .iter()
            .map(proa_images::Reference::familiar)
            .collect(),
        shared_size: -1,
        size: image.size() as i64,
        ..ImageSummary::default()
    }
}

pub(super) fn inspect(image: &Image) -> ImageInspect {
    let config = image.config();
    let tagged_at =
        jiff::Timestamp::from_nanosecond(i128::from(image.tagged_at())).unwrap_or_default();
    let never = image.tagged_at() == 0;
    ImageInspect {
        id: image.id().to_string(),
        repo_tags: image
            .tags()
            .iter()
            .map(proa_images::Reference::familiar)
            .collect(),
        repo_digests: image
            .digests()
            .iter()
            .map(proa_images::Reference::familiar)
            .collect(),
        parent: image.parent().map(ToString::to_string).unwrap_or_default(),
        comment: last_comment(image),
        created: config.created.clone(),
        docker_version: config.docker_version.clone(),
        author: config.author.clone(),
        config: Some(defaults(&config.config)),
        architecture: config.architecture.clone(),
        variant: config.variant.clone(),
        os: config.os.clone(),
        os_version: config.os_version.clone(),
        size: image.size() as i64,
        graph_driver: graph_driver(image),
        root_fs: RootFs {
            kind: "layers".to_owned(),
            layers: some(image.layers().iter().map(ToString::to_string).collect()),
        },
        metadata: ImageMetadata {
            last_tag_time: if never {
                timestamp::NEVER.to_owned()
            } else {
                timestamp::document(tagged_at)
            },
        },
        ..ImageInspect::default()
    }
}

/// The comment of the image, which newer builders write into the last step of its history.
fn last_comment(image: &Image) -> String {
    let config = image.config();
    match config.history.last() {
        Some(step) if config.comment.is_empty() => step.comment.clone(),
        _ => config.comment.clone(),
    }
}

/// Where the layers lie, in the terms of Docker's `overlay2`.
fn graph_driver(image: &Image) -> GraphDriver {
    let mut lowers = image
        .lowers()
        .iter()
        .map(|lower| lower.display().to_string());
    let mut places = TextMap::new();
    if let Some(top) = lowers.next() {
        places.insert("UpperDir".to_owned(), top);
    }
    let below: Vec<_> = lowers.collect();
    if !below.is_empty() {
        places.insert("LowerDir".to_owned(), below.join(":"));
    }
    GraphDriver {
        data: Some(places),
        name: "overlay2".to_owned(),
    }
}

fn defaults(config: &ContainerDefaults) -> ImageConfig {
    let keys = |set: &std::collections::BTreeMap<String, proa_images::Empty>| {
        (!set.is_empty()).then(|| {
            set.keys()
                .map(|key| (key.clone(), proa_protocol::Empty {}))
                .collect()
        })
    };
    ImageConfig {
        user: config.user.clone(),
        exposed_ports: keys(&config.exposed_ports),
        env: some(config.env.clone()),
        entrypoint: config.entrypoint.clone().map(Words),
        cmd: config.cmd.clone().map(Words),
        volumes: keys(&config.volumes),
        working_dir: config.working_dir.clone(),
        labels: (!config.labels.is_empty()).then(|| config.labels.clone()),
        stop_signal: config.stop_signal.clone(),
        args_escaped: config.args_escaped,
        healthcheck: config.healthcheck.as_ref().map(|check| HealthConfig {
            test: some(check.test.clone()),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        on_build: some(config.on_build.clone()),
        shell: some(config.shell.clone()).map(Words),
    }
}

pub(super) fn history(line: &HistoryLine) -> HistoryEntry {
    HistoryEntry {
        comment: line.comment.clone(),
        created: line.created,
        created_by: line.created_by.clone(),
        id: line
            .id
            .as_ref()
            .map_or_else(|| "<missing>".to_owned(), ToString::to_string),
        size: line.size as i64,
        tags: some(
            line.tags
                .iter()
                .map(proa_images::Reference::familiar)
                .collect(),
        ),
    }
}
