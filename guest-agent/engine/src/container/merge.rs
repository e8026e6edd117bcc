//! An image's configuration beneath the user's: what the user leaves out comes from the image.

use std::collections::HashMap;

use oci_spec::image::ImageConfiguration;
use proa_protocol::models::{ContainerConfig, HealthConfig};

use crate::{Error, Result};

/// What an image says of its containers, in Docker's terms.
pub(crate) fn image_defaults(image: &ImageConfiguration, health: Option<HealthConfig>) -> ContainerConfig {
    let Some(config) = image.config() else { return ContainerConfig::default() };
    ContainerConfig {
        user: config.user().clone(),
        env: config.env().clone(),
        entrypoint: config.entrypoint().clone(),
        cmd: config.cmd().clone(),
        working_dir: config.working_dir().clone(),
        labels: config.labels().clone(),
        volumes: config.volumes().clone(),
        exposed_ports: config.exposed_ports().clone(),
        stop_signal: config.stop_signal().clone(),
        healthcheck: health,
        ..ContainerConfig::default()
    }
}

/// Fills what `user` leaves open with what `image` says.
pub(crate) fn merge(user: &mut ContainerConfig, image: ContainerConfig) {
    let unset = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    if unset(&user.user) {
        user.user = image.user;
    }
    if unset(&user.working_dir) {
        user.working_dir = image.working_dir;
    }
    if unset(&user.stop_signal) {
        user.stop_signal = image.stop_signal;
    }
    if is_empty(user.entrypoint.as_ref()) {
        if is_empty(user.cmd.as_ref()) {
            user.cmd = image.cmd;
        }
        // An empty list given on purpose takes the image's entrypoint away.
        if user.entrypoint.is_none() {
            user.entrypoint = image.entrypoint;
        }
    }
    user.env = merge_env(user.env.take(), image.env);
    user.labels = merge_labels(user.labels.take(), image.labels);
    user.volumes = merge_sets(user.volumes.take(), image.volumes);
    user.exposed_ports = merge_sets(user.exposed_ports.take(), image.exposed_ports);
    user.healthcheck = merge_health(user.healthcheck.take(), image.healthcheck);
}

/// The command line, or the refusal if there is none.
pub(crate) fn command_line(config: &mut ContainerConfig) -> Result<Vec<String>> {
    // The API's way to say "no entrypoint".
    if config.entrypoint.as_deref().is_some_and(|words| words == [""]) {
        config.entrypoint = None;
    }
    let words = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let command: Vec<String> = words(&config.entrypoint).into_iter().chain(words(&config.cmd)).collect();
    if command.is_empty() {
        return Err(Error::bad("no command specified"));
    }
    Ok(command)
}

fn is_empty(list: Option<&Vec<String>>) -> bool {
    list.is_none_or(Vec::is_empty)
}

fn merge_env(user: Option<Vec<String>>, image: Option<Vec<String>>) -> Option<Vec<String>> {
    let Some(image) = image else { return user };
    let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut merged = user.unwrap_or_default();
    for entry in image {
        if !merged.iter().any(|own| key(own) == key(&entry)) {
            merged.push(entry);
        }
    }
    Some(merged)
}

fn merge_labels(
    user: Option<HashMap<String, String>>,
    image: Option<HashMap<String, String>>,
) -> Option<HashMap<String, String>> {
    let mut merged = image.unwrap_or_default();
    merged.extend(user.unwrap_or_default());
    Some(merged)
}

fn merge_sets(user: Option<Vec<String>>, image: Option<Vec<String>>) -> Option<Vec<String>> {
    if user.is_none() && image.is_none() {
        return None;
    }
    let mut merged: Vec<String> = user.into_iter().flatten().chain(image.into_iter().flatten()).collect();
    merged.sort();
    merged.dedup();
    Some(merged)
}

fn merge_health(user: Option<HealthConfig>, image: Option<HealthConfig>) -> Option<HealthConfig> {
    let (Some(user), Some(image)) = (user.clone(), image.clone()) else { return user.or(image) };
    let number = |own: Option<i64>, other: Option<i64>| own.filter(|n| *n != 0).or(other);
    Some(HealthConfig {
        test: user.test.filter(|test| !test.is_empty()).or(image.test),
        interval: number(user.interval, image.interval),
        timeout: number(user.timeout, image.timeout),
        retries: number(user.retries, image.retries),
        start_period: number(user.start_period, image.start_period),
        start_interval: number(user.start_interval, image.start_interval),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(ToString::to_string).collect())
    }

    /// The command line of an image with entrypoint `e` and command `c`.
    fn check(entrypoint: Option<Vec<String>>, cmd: Option<Vec<String>>, expected: &str) {
        let mut user = ContainerConfig { entrypoint, cmd, ..ContainerConfig::default() };
        let image = ContainerConfig { entrypoint: list(&["e"]), cmd: list(&["c"]), ..ContainerConfig::default() };
        merge(&mut user, image);
        let told = command_line(&mut user).map_or_else(|error| error.told(), |words| words.join(" "));
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
        let mut user = ContainerConfig { env: list(&["A=1"]), ..ContainerConfig::default() };
        let image = ContainerConfig { env: list(&["A=2", "B=3"]), ..ContainerConfig::default() };
        merge(&mut user, image);
        assert_eq!(user.env, list(&["A=1", "B=3"]));
    }
}
