//! An image's configuration beneath the user's: what the user leaves out comes from the image.

use std::collections::BTreeMap;

use proa_images::ContainerDefaults;
use proa_protocol::{ContainerConfig, Empty, HealthConfig, TextMap, Words};

use crate::{Error, Result};

type Set = BTreeMap<String, Empty>;

/// Fills what `user` leaves open with what `image` says.
pub(crate) fn merge(user: &mut ContainerConfig, image: &ContainerDefaults) {
    fill(&mut user.user, &image.user);
    fill(&mut user.working_dir, &image.working_dir);
    user.working_dir = clean(&user.working_dir);
    fill(&mut user.stop_signal, &image.stop_signal);
    if user
        .entrypoint
        .as_ref()
        .is_none_or(|words| words.is_empty())
    {
        if user.cmd.as_ref().is_none_or(|words| words.is_empty()) {
            user.cmd = image.cmd.clone().map(Words);
        }
        // An empty list given on purpose takes the image's entrypoint away.
        if user.entrypoint.is_none() {
            user.entrypoint = image.entrypoint.clone().map(Words);
        }
    }
    merge_env(&mut user.env, &image.env);
    merge_labels(&mut user.labels, &image.labels);
    merge_sets(&mut user.volumes, image.volumes.keys());
    merge_sets(&mut user.exposed_ports, image.exposed_ports.keys());
    if let Some(image) = &image.healthcheck {
        user.healthcheck = Some(merge_health(
            user.healthcheck.take().unwrap_or_default(),
            image,
        ));
    }
    if user.shell.is_none() && !image.shell.is_empty() {
        user.shell = Some(Words(image.shell.clone()));
    }
}

/// The command line, or the refusal if there is none.
pub(crate) fn command_line(config: &mut ContainerConfig) -> Result<Vec<String>> {
    // The API's way to say "no entrypoint".
    if config
        .entrypoint
        .as_deref()
        .is_some_and(|words| words == [""])
    {
        config.entrypoint = None;
    }
    let words = |list: &Option<Words>| list.as_deref().unwrap_or_default().to_vec();
    let command = [words(&config.entrypoint), words(&config.cmd)].concat();
    if command.is_empty() {
        return Err(Error::bad("no command specified"));
    }
    Ok(command)
}

/// An absolute path without `.`, `..` and doubled slashes; any other text as it is.
fn clean(path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_owned();
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn fill(own: &mut String, other: &str) {
    if own.is_empty() {
        own.push_str(other);
    }
}

fn merge_env(own: &mut Option<Vec<String>>, image: &[String]) {
    let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let merged = own.get_or_insert_default();
    for entry in image {
        if !merged.iter().any(|own| key(own) == key(entry)) {
            merged.push(entry.clone());
        }
    }
}

fn merge_labels(own: &mut Option<TextMap>, image: &TextMap) {
    let merged = own.get_or_insert_default();
    for (key, value) in image {
        merged.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

fn merge_sets<'a>(own: &mut Option<Set>, image: impl Iterator<Item = &'a String>) {
    for key in image {
        own.get_or_insert_default().insert(key.clone(), Empty {});
    }
}

fn merge_health(user: HealthConfig, image: &proa_images::Healthcheck) -> HealthConfig {
    let number = |own: i64, other: i64| if own == 0 { other } else { own };
    let test = user.test.filter(|test| !test.is_empty());
    HealthConfig {
        test: test.or_else(|| (!image.test.is_empty()).then(|| image.test.clone())),
        interval: number(user.interval, image.interval),
        timeout: number(user.timeout, image.timeout),
        retries: number(user.retries, image.retries),
        start_period: number(user.start_period, image.start_period),
        start_interval: number(user.start_interval, image.start_interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(ToString::to_string).collect())
    }

    /// The command line of an image with entrypoint `e` and command `c`.
    fn check(entrypoint: Option<Vec<String>>, cmd: Option<Vec<String>>, expected: &str) {
        let (entrypoint, cmd) = (entrypoint.map(Words), cmd.map(Words));
        let mut user = ContainerConfig {
            entrypoint,
            cmd,
            ..ContainerConfig::default()
        };
        let image = ContainerDefaults {
            entrypoint: list(&["e"]),
            cmd: list(&["c"]),
            ..ContainerDefaults::default()
        };
        merge(&mut user, &image);
        let told =
            command_line(&mut user).map_or_else(|error| error.told(), |words| words.join(" "));
        assert_eq!(told, expected);
    }

    #[test]
    fn the_users_command_line_wins_in_dockers_way() {
        check(None, None, "e c");
        check(None, list(&["x"]), "e x");
        check(list(&["y"]), None, "y");
        check(list(&["y"]), list(&["x"]), "y x");
        check(list(&[""]), list(&["x"]), "x");
        check(list(&[""]), None, "no command specified");
        check(list(&[]), None, "c");
    }

    #[test]
    fn the_users_environment_and_labels_win_by_name() {
        let mut user = ContainerConfig {
            env: list(&["A=1"]),
            ..ContainerConfig::default()
        };
        let env = list(&["A=2", "B=3"]).unwrap();
        let labels = TextMap::from([("k".to_owned(), "image".to_owned())]);
        merge(
            &mut user,
            &ContainerDefaults {
                env,
                labels,
                ..ContainerDefaults::default()
            },
        );
        assert_eq!(user.env, list(&["A=1", "B=3"]));
        assert_eq!(user.labels.unwrap()["k"], "image");
    }
}
