//! What an import or a commit may change of an image's configuration, in a Dockerfile's instructions.
//!
//! Pure: text and a configuration in, a configuration out. The words of refusals are Docker's where clients see them.

mod healthcheck;
mod lines;
mod words;

use crate::documents::{ContainerDefaults, Empty};
use words::{Words, pairs, words};

/// Why an instruction is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChange {
    /// No such instruction, or one that cannot be used here.
    #[error("{0} is not a valid change command")]
    Unknown(String),
    /// Nothing behind it.
    #[error("{0} requires {1}")]
    Wants(&'static str, &'static str),
    /// It says something that cannot be.
    #[error("{0}")]
    Wrong(String),
}

/// Longest text of all instructions; the API's limit on documents is above it.
const LONGEST: usize = 1 << 20;

/// Applies instructions to a configuration, one after the other. Each text may hold several lines.
pub fn apply<'a>(
    config: &mut ContainerDefaults,
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<(), BadChange> {
    let text = texts.into_iter().collect::<Vec<_>>().join("\n");
    if text.len() > LONGEST {
        return Err(BadChange::Wrong("the changes are too long".to_owned()));
    }
    let mut command_set = false;
    for line in lines::logical(&text) {
        let (verb, rest) = line
            .split_once(char::is_whitespace)
            .unwrap_or((line.as_str(), ""));
        change(config, &mut command_set, verb, rest.trim())?;
    }
    Ok(())
}

fn change(
    config: &mut ContainerDefaults,
    command_set: &mut bool,
    verb: &str,
    rest: &str,
) -> Result<(), BadChange> {
    match verb.to_ascii_uppercase().as_str() {
        "CMD" => {
            config.cmd = Some(command(config, rest));
            *command_set = true;
        }
        "ENTRYPOINT" => {
            config.entrypoint = Some(command(config, rest));
            // The arguments were those of another program.
            if !*command_set {
                config.cmd = None;
            }
        }
        "ENV" => env(config, rest)?,
        "LABEL" => {
            let pairs = pairs("LABEL", rest, &config.env)?;
            config.labels.extend(pairs);
        }
        "EXPOSE" => expose(config, rest)?,
        "VOLUME" => volume(config, rest)?,
        "USER" => config.user = one("USER", rest, &config.env)?,
        "WORKDIR" => {
            let path = one("WORKDIR", rest, &config.env)?;
            config.working_dir = directory(&config.working_dir, &path);
        }
        "STOPSIGNAL" => config.stop_signal = one("STOPSIGNAL", rest, &config.env)?,
        "ONBUILD" => on_build(config, rest)?,
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck::parse(rest)?),
        _ => return Err(BadChange::Unknown(verb.to_owned())),
    }
    Ok(())
}

/// A JSON list, or a line for the shell.
fn command(config: &ContainerDefaults, rest: &str) -> Vec<String> {
    if let Ok(list) = serde_json::from_str::<Vec<String>>(rest) {
        return list;
    }
    let mut words = if config.shell.is_empty() {
        vec!["/bin/sh".to_owned(), "-c".to_owned()]
    } else {
        config.shell.clone()
    };
    words.push(rest.to_owned());
    words
}

fn env(config: &mut ContainerDefaults, rest: &str) -> Result<(), BadChange> {
    for (key, value) in pairs("ENV", rest, &config.env)? {
        let entry = format!("{key}={value}");
        let same = |old: &&mut String| old.split('=').next() == Some(key.as_str());
        match config.env.iter_mut().find(same) {
            Some(old) => *old = entry,
            None => config.env.push(entry),
        }
    }
    Ok(())
}

fn expose(config: &mut ContainerDefaults, rest: &str) -> Result<(), BadChange> {
    let Words(list) = words(rest, &config.env);
    if list.is_empty() {
        return Err(BadChange::Wants("EXPOSE", "at least one argument"));
    }
    for word in list {
        let bad = || BadChange::Wrong(format!("invalid containerPort: {word}"));
        let (range, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(BadChange::Wrong(format!("invalid proto: {protocol}")));
        }
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let port = |text: &str| text.parse::<u16>().map_err(|_| bad());
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(bad());
        }
        let ports = (first..=last).map(|port| (format!("{port}/{protocol}"), Empty {}));
        config.exposed_ports.extend(ports);
    }
    Ok(())
}

fn volume(config: &mut ContainerDefaults, rest: &str) -> Result<(), BadChange> {
    let list = serde_json::from_str::<Vec<String>>(rest);
    let list = list.unwrap_or_else(|_| words(rest, &config.env).0);
    if list.is_empty() {
        return Err(BadChange::Wants("VOLUME", "at least one argument"));
    }
    if list.iter().any(|path| path.trim().is_empty()) {
        let words = "VOLUME specified can not be an empty string";
        return Err(BadChange::Wrong(words.to_owned()));
    }
    let paths = list
        .into_iter()
        .map(|path| (path.trim().to_owned(), Empty {}));
    config.volumes.extend(paths);
    Ok(())
}

/// The one argument of an instruction.
fn one(verb: &'static str, rest: &str, env: &[String]) -> Result<String, BadChange> {
    let value = words::expand(rest, env);
    if value.is_empty() {
        return Err(BadChange::Wants(verb, "exactly one argument"));
    }
    Ok(value)
}

/// A relative one is beneath the one before.
fn directory(before: &str, path: &str) -> String {
    let joined = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{before}/{path}")
    };
    let mut parts = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn on_build(config: &mut ContainerDefaults, rest: &str) -> Result<(), BadChange> {
    let verb = rest.split_whitespace().next().unwrap_or_default();
    match verb.to_ascii_uppercase().as_str() {
        "" => Err(BadChange::Wants("ONBUILD", "at least one argument")),
        "ONBUILD" => Err(BadChange::Wrong(
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned(),
        )),
        other @ ("FROM" | "MAINTAINER") => Err(BadChange::Wrong(format!(
            "{other} isn't allowed as an ONBUILD trigger"
        ))),
        _ => {
            config.on_build.push(rest.to_owned());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
