//! `--log-driver` and `--log-opt`: from names and texts to where output is recorded.

use std::path::PathBuf;

use proa_protocol::LogConfig;
use proa_runtime::log::{Driver, FileLog, LogSink, Mode};

use super::definition::Definition;
use crate::{Engine, Error, Result};

/// Options of every driver.
const OF_ALL: &[&str] = &["mode", "max-buffer-size"];
/// Options that choose what goes along with each line.
const OF_ATTRIBUTES: &[&str] = &["labels", "labels-regex", "env", "env-regex", "tag"];

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
    let own: &[&str] = match config.kind.as_str() {
        "none" => return Ok(()),
        "json-file" => &["max-size", "max-file", "compress"],
        "local" => &["max-size", "max-file", "compress"],
        "journald" => &[],
        name => {
            return Err(Error::bad(format!(
                "logger: no log driver named '{name}' is registered"
            )));
        }
    };
    for (key, value) in config.config.iter().flatten() {
        let known = own.contains(&key.as_str())
            || OF_ALL.contains(&key.as_str())
            || OF_ATTRIBUTES.contains(&key.as_str())
            || key.starts_with("cache-");
        if !known {
            return Err(Error::bad(format!(
                "unknown log opt '{key}' for {} log driver",
                config.kind
            )));
        }
        if matches!(key.as_str(), "max-size" | "max-buffer-size") {
            size(value)?;
        }
    }
    file_log(config, PathBuf::new(), Vec::new()).map(|_| ())
}

/// Where a container's log is, if it is a file.
pub(super) fn path(engine: &Engine, definition: &Definition) -> Option<PathBuf> {
    let folder = engine.paths.container(&definition.id);
    match definition.host.log_config.kind.as_str() {
        "json-file" => Some(folder.join(format!("{}-json.log", definition.id))),
        "local" => Some(folder.join("local-logs").join("container.log")),
        _ => None,
    }
}

/// Where its output is recorded.
pub(super) fn sink(engine: &Engine, definition: &Definition) -> Result<LogSink> {
    let config = &definition.host.log_config;
    let file = path(engine, definition).unwrap_or_default();
    let driver = match config.kind.as_str() {
        "none" => return Ok(LogSink::NONE),
        "local" => {
            if let Some(folder) = file.parent() {
                // The folder may be there from the last run.
                let _ = std::fs::create_dir(folder);
            }
            Driver::Local(file_log(config, file, Vec::new())?)
        }
        "json-file" => Driver::JsonFile(file_log(config, file, attributes(definition))?),
        name => {
            return Err(Error::bad(format!(
                "logger: no log driver named '{name}' is registered"
            )));
        }
    };
    Ok(LogSink {
        driver,
        mode: mode(config)?,
        cache: None,
    })
}

fn option<'a>(config: &'a LogConfig, key: &str) -> Option<&'a str> {
    config.config.as_ref()?.get(key).map(String::as_str)
}

fn mode(config: &LogConfig) -> Result<Mode> {
    match option(config, "mode") {
        None | Some("blocking") => Ok(Mode::Blocking),
        Some("non-blocking") => {
            let most = option(config, "max-buffer-size")
                .map(size)
                .transpose()?
                .unwrap_or(1 << 20);
            Ok(Mode::NonBlocking(most))
        }
        Some(other) => Err(Error::bad(format!(
            "logger: logging mode not supported: {other}"
        ))),
    }
}

fn file_log(
    config: &LogConfig,
    path: PathBuf,
    attributes: Vec<(String, String)>,
) -> Result<FileLog> {
    let mut log = FileLog::capped(path);
    if let Some(text) = option(config, "max-size") {
        log.max_size = if text == "-1" {
            None
        } else {
            Some(size(text)?)
        };
        // Docker keeps one file where only the size is given.
        log.max_files = if config.kind == "local" {
            log.max_files
        } else {
            1
        };
    }
    if let Some(text) = option(config, "max-file") {
        let number = text.parse::<u32>().ok().filter(|number| *number > 0);
        log.max_files = number.ok_or_else(|| Error::bad("max-file cannot be less than 1"))?;
    }
    log.compress = match option(config, "compress") {
        None => config.kind == "local",
        Some("true") => true,
        Some("false") => false,
        Some(other) => return Err(Error::bad(format!("invalid log opt compress: {other}"))),
    };
    log.attributes = attributes;
    Ok(log)
}

/// What `labels` and `env` choose of the container's own.
fn attributes(definition: &Definition) -> Vec<(String, String)> {
    let config = &definition.host.log_config;
    let mut list = Vec::new();
    for key in option(config, "labels")
        .unwrap_or_default()
        .split(',')
        .filter(|key| !key.is_empty())
    {
        if let Some(value) = definition.labels().get(key) {
            list.push((key.to_owned(), value.clone()));
        }
    }
    for key in option(config, "env")
        .unwrap_or_default()
        .split(',')
        .filter(|key| !key.is_empty())
    {
        let entries = definition
            .config
            .env
            .iter()
            .flatten()
            .filter_map(|entry| entry.split_once('='));
        list.extend(
            entries
                .filter(|(name, _)| *name == key)
                .map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
    }
    if let Some(tag) = option(config, "tag") {
        let tag = tag
            .replace("{{.ID}}", definition.id.short())
            .replace("{{.Name}}", &definition.name);
        list.push((
            "tag".to_owned(),
            tag.replace("{{.FullID}}", definition.id.as_str()),
        ));
    }
    list
}

/// `10m`, `1g`, `500k`, `1000`: powers of 1024 but for the bare number.
fn size(text: &str) -> Result<u64> {
    let wrong = || Error::bad(format!("invalid size: '{text}'"));
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return Err(wrong()),
    };
    digits
        .parse::<u64>()
        .ok()
        .filter(|number| *number > 0)
        .map(|number| number * unit)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_told(kind: &str, pairs: &[(&str, &str)], expected: &str) {
        let options = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let config = LogConfig {
            kind: kind.to_owned(),
            config: Some(options),
        };
        let told = check(&config).map_or_else(|error| error.told(), |()| "fine".to_owned());
        assert_eq!(told, expected);
    }

    #[test]
    fn drivers_and_options_are_checked() {
        check_told(
            "json-file",
            &[("max-size", "10m"), ("max-file", "3")],
            "fine",
        );
        check_told("json-file", &[("max-size", "x")], "invalid size: 'x'");
        check_told(
            "json-file",
            &[("max-file", "0")],
            "max-file cannot be less than 1",
        );
        check_told(
            "json-file",
            &[("colour", "1")],
            "unknown log opt 'colour' for json-file log driver",
        );
        check_told(
            "carrier-pigeon",
            &[],
            "logger: no log driver named 'carrier-pigeon' is registered",
        );
    }
}
