//! `--log-driver` and `--log-opt` of one container: where its output is recorded and read back from.

use std::{collections::BTreeMap, path::PathBuf};

use proa_protocol::LogConfig;
use proa_runtime::log::{
    LogSink,
    options::{self, About},
    read::Format,
};

use super::definition::Definition;
use crate::{Engine, Error, Result, clock};

/// Fills in the engine's driver where none is named, and its options where they are for the same driver.
pub(super) fn inherit(config: &mut LogConfig, defaults: &LogConfig) {
    if config.kind.is_empty() {
        config.kind.clone_from(&defaults.kind);
    }
    if config.kind == defaults.kind {
        let own = config.config.get_or_insert_default();
        for (key, value) in defaults.config.iter().flatten() {
            own.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// Refuses drivers and options there are not.
pub(super) fn check(config: &LogConfig) -> Result<()> {
    options::check(&config.kind, &given(config)).map_err(|error| Error::bad(error.to_string()))
}

/// The file a container's log is read back from, if it is one.
pub(super) fn readable(engine: &Engine, definition: &Definition) -> Option<(PathBuf, Format)> {
    let config = &definition.host.log_config;
    let folder = engine.paths.container(&definition.id);
    options::readable(
        &config.kind,
        &given(config),
        definition.id.as_str(),
        &folder,
    )
}

/// Where its output is recorded.
pub(super) fn sink(engine: &Engine, definition: &Definition) -> Result<LogSink> {
    let config = &definition.host.log_config;
    let command = definition.command.join(" ");
    let created = clock::document(Some(definition.created));
    let about = About {
        id: definition.id.as_str(),
        name: &definition.name,
        image_id: &definition.image,
        image_name: &definition.config.image,
        command: &command,
        created: &created,
        labels: definition.labels(),
        env: definition.config.env.as_deref().unwrap_or_default(),
        hostname: &engine.host.name,
    };
    let folder = engine.paths.container(&definition.id);
    options::sink(&config.kind, &given(config), &about, &folder).map_err(|error| {
        Error::bad(format!(
            "failed to create task for container: failed to initialize logging driver: {error}"
        ))
    })
}

fn given(config: &LogConfig) -> BTreeMap<String, String> {
    config.config.clone().unwrap_or_default()
}
