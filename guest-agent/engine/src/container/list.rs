//! `list`: the table of containers, with Docker's filters.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proa_protocol::{
    ContainerSummary, EndpointSettings, HealthSummary, SummaryHostConfig, SummaryNetworkSettings,
};
use regex_lite::Regex;

use super::{
    Container,
    definition::{Definition, Source},
    health::Health,
    inspect,
    state::State,
    status,
    task::Published,
};
use crate::{Engine, Error, Filters, Result, clock, engine::lock, network::ports};

/// Which containers to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// At most so many, the newest first; implies `all`.
    pub limit: Option<usize>,
    /// With what their roots take.
    pub size: bool,
    /// Which of them.
    pub filters: Filters,
}

const KEYS: &[&str] = &[
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

const STATES: &[&str] = &[
    "created",
    "running",
    "paused",
    "restarting",
    "removing",
    "exited",
    "dead",
];

impl Engine {
    /// Containers, the newest first.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<ContainerSummary>> {
        let wanted = Wanted::read(self, &options)?;
        let mut found: Vec<(Container, Published)> = self
            .containers
            .all()
            .into_iter()
            .map(|container| (container.clone(), container.seen()))
            .collect();
        found.retain(|(container, seen)| {
            !seen.removed && wanted.accepts(self, seen) && wanted.accepts_health(container)
        });
        found.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.definition.created));
        found.truncate(options.limit.unwrap_or(usize::MAX));
        let mut summaries = Vec::with_capacity(found.len());
        for (container, seen) in found {
            let mut summary = summary(self, &seen);
            summary.status += &health_note(&container, &seen);
            summary.health = health_of(&container);
            summary.proa = container.facts();
            if options.size {
                (summary.size_rw, summary.size_root_fs) = container.size().await?;
            }
            summaries.push(summary);
        }
        Ok(summaries)
    }
}

/// The question, understood.
struct Wanted<'a> {
    filters: &'a Filters,
    all: bool,
    names: Vec<Regex>,
    ids: Vec<Regex>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    codes: Vec<i32>,
    ancestors: Option<Vec<String>>,
}

impl<'a> Wanted<'a> {
    fn read(engine: &Engine, options: &'a ListOptions) -> Result<Self> {
        let filters = &options.filters;
        let bad = |error: proa_protocol::BadFilter| Error::bad(error.to_string());
        filters.only(KEYS).map_err(bad)?;
        let wrong = |key: &str, value: &str| Error::bad(format!("invalid filter '{key}={value}'"));
        if let Some(state) = filters
            .values("status")
            .find(|state| !STATES.contains(state))
        {
            return Err(wrong("status", state));
        }
        let created = |key: &str| -> Result<Option<Timestamp>> {
            let name = filters.values(key).next();
            name.map(|name| Ok(engine.container(name)?.seen().definition.created))
                .transpose()
        };
        let codes = filters
            .values("exited")
            .map(|code| code.parse().map_err(|_| wrong("exited", code)));
        Ok(Wanted {
            filters,
            // Asking for states, exit codes or a number means all of them.
            all: options.all
                || options.limit.is_some()
                || ["status", "exited", "before", "since"]
                    .iter()
                    .any(|key| filters.has(key)),
            names: patterns(filters, "name")?,
            ids: patterns(filters, "id")?,
            before: created("before")?,
            since: created("since")?,
            codes: codes.collect::<Result<_>>()?,
            ancestors: filters.has("ancestor").then(|| {
                let found = filters
                    .values("ancestor")
                    .filter_map(|name| engine.images().find(name).ok());
                found.map(|image| image.id().to_string()).collect()
            }),
        })
    }

    fn accepts(&self, engine: &Engine, seen: &Published) -> bool {
        let definition = &seen.definition;
        (self.all || seen.state.live().is_some() || matches!(seen.state, State::Restarting(_)))
            && self.accepts_state(seen)
            && self.before.is_none_or(|time| definition.created < time)
            && self.since.is_none_or(|time| definition.created > time)
            && matches_any(
                &self.names,
                &[&definition.name, &format!("/{}", definition.name)],
            )
            && matches_any(&self.ids, &[definition.id.as_str()])
            && self.filters.labels("label", definition.labels())
            && self.accepts_image(engine, definition)
            && self
                .filters
                .any("volume", |name| uses_volume(definition, name))
            && self
                .filters
                .any("network", |wanted| is_in(engine, seen, wanted))
            && self.filters.any("expose", |port| exposes(definition, port))
            && self
                .filters
                .any("publish", |port| publishes(definition, port))
            && self
                .filters
                .any("is-task", |truth| matches!(truth, "false" | "0"))
    }

    fn accepts_health(&self, container: &Container) -> bool {
        let health = lock(&container.health)
            .as_ref()
            .map_or("none", Health::name);
        self.filters.any("health", |wanted| wanted == health)
    }

    fn accepts_state(&self, seen: &Published) -> bool {
        let exited = || match &seen.state {
            State::Exited(exit) => self.codes.contains(&exit.code),
            State::Created(_)
            | State::Running(_)
            | State::Paused(_)
            | State::Restarting(_)
            | State::Removing(_) => false,
        };
        self.filters
            .any("status", |state| state == seen.state.name())
            && (self.codes.is_empty() || exited())
    }

    fn accepts_image(&self, engine: &Engine, definition: &Definition) -> bool {
        let Some(ancestors) = &self.ancestors else {
            return true;
        };
        let mut next = Some(definition.image.clone());
        while let Some(id) = next {
            if ancestors.contains(&id) {
                return true;
            }
            next = engine
                .images()
                .find(&id)
                .ok()
                .and_then(|image| image.parent().map(ToString::to_string));
        }
        false
    }
}

fn patterns(filters: &Filters, key: &str) -> Result<Vec<Regex>> {
    let wrong = |value: &str| Error::bad(format!("invalid filter '{key}={value}'"));
    filters
        .values(key)
        .map(|value| Regex::new(value).map_err(|_| wrong(value)))
        .collect()
}

fn matches_any(patterns: &[Regex], texts: &[&str]) -> bool {
    patterns.is_empty()
        || patterns
            .iter()
            .any(|pattern| texts.iter().any(|text| pattern.is_match(text)))
}

fn uses_volume(definition: &Definition, wanted: &str) -> bool {
    definition.mounts.iter().any(|mount| {
        let source = match &mount.what {
            Source::Volume { name, .. } => name == wanted,
            Source::Bind { path, .. } => path.to_str() == Some(wanted),
            Source::Tmpfs { .. } | Source::Image { .. } => false,
        };
        source || mount.target == wanted
    })
}

/// Whether a container is in a network, by the network's name or id.
fn is_in(engine: &Engine, seen: &Published, wanted: &str) -> bool {
    inspect::networks(engine, seen)
        .iter()
        .any(|(name, endpoint)| name == wanted || endpoint.network_id == wanted)
}

/// `80`, `80/tcp`, `8000-8010/udp`.
fn port_range(text: &str) -> Option<(u16, u16, &str)> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    Some((first.parse().ok()?, last.parse().ok()?, protocol))
}

fn within<'a>(ports: impl Iterator<Item = &'a String>, wanted: &str) -> bool {
    let Some((first, last, protocol)) = port_range(wanted) else {
        return false;
    };
    let mut ranges = ports.filter_map(|port| port_range(port));
    ranges.any(|(from, to, kind)| kind == protocol && from <= last && first <= to)
}

fn exposes(definition: &Definition, wanted: &str) -> bool {
    within(
        definition
            .config
            .exposed_ports
            .iter()
            .flat_map(BTreeMap::keys),
        wanted,
    )
}

fn publishes(definition: &Definition, wanted: &str) -> bool {
    within(
        definition
            .host
            .port_bindings
            .iter()
            .flat_map(BTreeMap::keys),
        wanted,
    )
}

fn summary(engine: &Engine, seen: &Published) -> ContainerSummary {
    let definition = &seen.definition;
    ContainerSummary {
        id: definition.id.to_string(),
        names: vec![format!("/{}", definition.name)],
        image: image_name(engine, definition),
        image_id: definition.image.clone(),
        command: command(&definition.command),
        created: definition.created.as_second(),
        labels: definition.labels().clone(),
        state: seen.state.name().to_owned(),
        status: status::sentence(&seen.state, clock::now()),
        host_config: SummaryHostConfig {
            network_mode: definition.host.network_mode.clone(),
            annotations: definition.host.annotations.clone(),
        },
        network_settings: SummaryNetworkSettings {
            networks: Some(places(engine, seen)),
        },
        mounts: inspect::mount_points(definition),
        ports: inspect::published(seen)
            .map(|published| ports::list(&definition.config, published))
            .unwrap_or_default(),
        ..ContainerSummary::default()
    }
}

/// `none` where nothing is checked.
fn health_of(container: &Container) -> HealthSummary {
    let health = lock(&container.health);
    health
        .as_ref()
        .map_or_else(HealthSummary::none, Health::summary)
}

/// The places of a container in its networks without their names, which Docker tells when it is asked for one
/// container.
fn places(engine: &Engine, seen: &Published) -> BTreeMap<String, EndpointSettings> {
    let mut places = inspect::networks(engine, seen);
    for place in places.values_mut() {
        (place.aliases, place.dns_names) = (None, None);
    }
    places
}

/// What stands behind the time a container with health checks is up.
fn health_note(container: &Container, seen: &Published) -> String {
    let health = lock(&container.health);
    match (health.as_ref().map(Health::name), &seen.state) {
        (Some("starting"), State::Running(_)) => " (health: starting)".to_owned(),
        (Some(health), State::Running(_)) => format!(" ({health})"),
        _ => String::new(),
    }
}

/// The name it was made with, as long as that name means the same image.
fn image_name(engine: &Engine, definition: &Definition) -> String {
    let name = &definition.config.image;
    match engine.images().find(name) {
        Ok(image) if image.id().as_str() == definition.image => name.clone(),
        Ok(_) | Err(_) => definition.image.clone(),
    }
}

/// The command line, words with spaces in quotes.
fn command(words: &[String]) -> String {
    let mut quoted = words.iter().enumerate().map(|(place, word)| {
        if place > 0 && word.contains(' ') {
            format!("'{word}'")
        } else {
            word.clone()
        }
    });
    let first = quoted.next().unwrap_or_default();
    quoted.fold(first, |line, word| line + " " + &word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_match_by_range_and_protocol() {
        let check = |port: &str, wanted: &str| within([port.to_owned()].iter(), wanted);
        assert!(check("80/tcp", "80"));
        assert!(check("8000-8010/tcp", "8005-8020/tcp"));
        assert!(!check("80/udp", "80"));
        assert!(!check("80/tcp", "x"));
    }

    #[test]
    fn command_lines_are_quoted_as_docker_does() {
        let words: Vec<String> = ["sh", "-c", "echo hi"].map(str::to_owned).to_vec();
        assert_eq!(command(&words), "sh -c 'echo hi'");
    }
}
