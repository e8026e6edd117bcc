//! `ps`: containers as a list.

use clap::Args;
use jiff::Timestamp;
use proa_host::Request;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::failure::{Exit, Failure};
use crate::flags::filter;
use crate::output::format::{Listing, Row, row};
use crate::output::{self, ago, size};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `ps`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Show all containers, not only running ones
    #[arg(short, long)]
    all: bool,
    /// Show only those that match: name=value
    #[arg(short, long)]
    filter: Vec<String>,
    /// table, json, or a template
    #[arg(long)]
    format: Option<String>,
    /// Show so many of the latest, whatever their state
    #[arg(short = 'n', long, default_value_t = -1, allow_negative_numbers = true, hide_default_value = true)]
    last: i64,
    /// Show the latest, whatever its state
    #[arg(short, long)]
    latest: bool,
    /// Do not shorten anything
    #[arg(long)]
    no_trunc: bool,
    /// Print IDs only
    #[arg(short, long)]
    quiet: bool,
    /// Show sizes
    #[arg(short, long)]
    size: bool,
}

const HEADINGS: &[(&str, &str)] = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Ports", "PORTS"),
    ("State", "STATE"),
    ("Ready", "READY IN"),
    ("Status", "STATUS"),
    ("Size", "SIZE"),
    ("Names", "NAMES"),
    ("Labels", "LABELS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Mounts", "MOUNTS"),
    ("Networks", "NETWORKS"),
];

impl Act for List {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let limit = if self.latest { 1 } else { self.last };
        let wants_size = self.size
            || self
                .format
                .as_ref()
                .is_some_and(|format| format.contains(".Size"));
        let request = Request::get(&["containers", "json"])
            .flag("all", self.all || limit > 0)
            .maybe("limit", (limit > 0).then_some(limit))
            .flag("size", wants_size)
            .maybe("filters", filter::query(&self.filter)?);
        let containers: Vec<Summary> = session.engine()?.ask(request).await?;
        if self.quiet && self.format.is_none() {
            for container in &containers {
                output::line(&container.id(self.no_trunc))?;
            }
            return Ok(Exit::OK);
        }
        let now = Timestamp::now();
        let listing = Listing {
            table: table(wants_size && self.format.is_none()),
            headings: HEADINGS,
            rows: containers
                .iter()
                .map(|container| container.row(self.no_trunc, now))
                .collect(),
        };
        output::write(listing.shown(self.format.as_deref())?.as_bytes())?;
        Ok(Exit::OK)
    }
}

fn table(with_size: bool) -> String {
    let size = if with_size { "\t{{.Size}}" } else { "" };
    format!(
        "{{{{.ID}}}}\t{{{{.Image}}}}\t{{{{.Command}}}}\t{{{{.RunningFor}}}}\t{{{{.Status}}}}\t{{{{.Ports}}}}\t{{{{.Names}}}}{size}"
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Summary {
    id: String,
    names: Option<Vec<String>>,
    image: String,
    #[serde(rename = "ImageID")]
    image_id: String,
    command: String,
    created: i64,
    ports: Option<Vec<Port>>,
    labels: Option<BTreeMap<String, String>>,
    state: String,
    status: String,
    size_rw: Option<u64>,
    size_root_fs: Option<u64>,
    network_settings: Option<Networks>,
    mounts: Option<Vec<Mount>>,
    proa: Value,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Networks {
    networks: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Mount {
    name: String,
    source: String,
    pub(crate) driver: String,
}

#[derive(Clone, Deserialize, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "PascalCase", default)]
struct Port {
    #[serde(rename = "IP")]
    ip: String,
    private_port: u16,
    public_port: u16,
    #[serde(rename = "Type")]
    protocol: String,
}

impl Summary {
    /// How long the container took until it was healthy, or listened; nothing if that is not known.
    fn ready(&self) -> String {
        let took = self.proa["Readiness"]["Milliseconds"].as_u64();
        took.map(|took| format!("{took} ms")).unwrap_or_default()
    }

    fn id(&self, whole: bool) -> String {
        if whole {
            self.id.clone()
        } else {
            self.id.chars().take(12).collect()
        }
    }

    fn row(&self, whole: bool, now: Timestamp) -> Row {
        row([
            ("Command", quoted(&self.command, whole)),
            ("CreatedAt", ago::spelled(self.created)),
            ("ID", self.id(whole)),
            ("Image", self.image(whole)),
            (
                "Labels",
                self.labels
                    .iter()
                    .flatten()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect::<Vec<_>>()
                    .join(","),
            ),
            (
                "LocalVolumes",
                self.mounts
                    .iter()
                    .flatten()
                    .filter(|mount| mount.driver == "local")
                    .count()
                    .to_string(),
            ),
            ("Mounts", self.mounts(whole)),
            ("Names", self.names()),
            ("Networks", self.networks()),
            ("Ports", ports(self.ports.as_deref().unwrap_or_default())),
            ("RunningFor", ago::since(self.created, now)),
            ("Size", self.size()),
            ("State", self.state.clone()),
            ("Ready", self.ready()),
            ("Status", self.status.clone()),
        ])
    }

    /// The image's name; the start of its ID where the name is one.
    fn image(&self, whole: bool) -> String {
        if self.image.is_empty() {
            return "<no image>".to_owned();
        }
        let bare = self.image.strip_prefix("sha256:").unwrap_or(&self.image);
        let id = self
            .image_id
            .strip_prefix("sha256:")
            .unwrap_or(&self.image_id);
        if !whole && !id.is_empty() && id == bare {
            bare.chars().take(12).collect()
        } else {
            self.image.clone()
        }
    }

    /// Names without the slash; those of links, which hold one more, only when all is shown.
    fn names(&self) -> String {
        let names = self
            .names
            .iter()
            .flatten()
            .map(|name| name.trim_start_matches('/'));
        names
            .filter(|name| !name.contains('/'))
            .collect::<Vec<_>>()
            .join(",")
    }

    fn networks(&self) -> String {
        let networks = self
            .network_settings
            .as_ref()
            .and_then(|settings| settings.networks.as_ref());
        networks
            .iter()
            .flat_map(|networks| networks.keys().cloned())
            .collect::<Vec<_>>()
            .join(",")
    }

    fn mounts(&self, whole: bool) -> String {
        let name = |mount: &Mount| {
            let name = if mount.name.is_empty() {
                &mount.source
            } else {
                &mount.name
            };
            if whole {
                name.clone()
            } else {
                shortened(name, 15)
            }
        };
        self.mounts
            .iter()
            .flatten()
            .map(name)
            .collect::<Vec<_>>()
            .join(",")
    }

    fn size(&self) -> String {
        let own = size::short(self.size_rw.unwrap_or(0));
        match self.size_root_fs {
            Some(all) if all > 0 => format!("{own} (virtual {})", size::short(all)),
            _ => own,
        }
    }
}

fn quoted(command: &str, whole: bool) -> String {
    let shown = if whole {
        command.to_owned()
    } else {
        shortened(command, 20)
    };
    // Go's quoting is JSON's, for what commands hold.
    format!(
        "\"{}\"",
        shown
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
            .replace('\t', "\\t")
    )
}

/// At most so many characters, the last being an ellipsis when some are missing.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// Ports as Docker shows them; neighbours become ranges.
fn ports(ports: &[Port]) -> String {
    let mut sorted: Vec<&Port> = ports.iter().collect();
    sorted.sort_by_key(|port| {
        (
            port.private_port,
            &port.ip,
            port.public_port,
            &port.protocol,
        )
    });
    let mut groups: Vec<(&Port, u16)> = Vec::new();
    let mut taken = vec![false; sorted.len()];
    for at in 0..sorted.len() {
        if taken[at] {
            continue;
        }
        let first = sorted[at];
        let mut length = 0;
        for (next, port) in sorted.iter().enumerate().skip(at + 1) {
            let follows = port.ip == first.ip
                && port.protocol == first.protocol
                && port.private_port == first.private_port + length + 1
                && (first.public_port == 0) == (port.public_port == 0)
                && (first.public_port == 0 || port.public_port == first.public_port + length + 1)
                && (first.public_port == 0 || first.public_port == first.private_port);
            if follows && !taken[next] {
                taken[next] = true;
                length += 1;
            }
        }
        groups.push((first, length));
    }
    groups
        .iter()
        .map(|(first, length)| port_range(first, *length))
        .collect::<Vec<_>>()
        .join(", ")
}

fn port_range(first: &Port, length: u16) -> String {
    let span = |start: u16| {
        if length == 0 {
            start.to_string()
        } else {
            format!("{start}-{}", start + length)
        }
    };
    let inside = format!("{}/{}", span(first.private_port), first.protocol);
    if first.public_port == 0 {
        return inside;
    }
    let ip = if first.ip.contains(':') {
        format!("[{}]", first.ip)
    } else {
        first.ip.clone()
    };
    format!("{ip}:{}->{inside}", span(first.public_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, private_port: u16, public_port: u16) -> Port {
        Port {
            ip: ip.to_owned(),
            private_port,
            public_port,
            protocol: "tcp".to_owned(),
        }
    }

    #[test]
    fn ports_are_grouped_as_docker_groups_them() {
        let check = |list: &[Port], expected: &str| assert_eq!(ports(list), expected);
        check(&[port("", 80, 0)], "80/tcp");
        check(
            &[port("0.0.0.0", 80, 8080), port("::", 80, 8080)],
            "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
        );
        check(
            &[port("", 81, 0), port("", 80, 0), port("", 82, 0)],
            "80-82/tcp",
        );
        check(
            &[port("1.2.3.4", 80, 80), port("1.2.3.4", 81, 81)],
            "1.2.3.4:80-81->80-81/tcp",
        );
        check(
            &[port("1.2.3.4", 80, 90), port("1.2.3.4", 81, 91)],
            "1.2.3.4:90->80/tcp, 1.2.3.4:91->81/tcp",
        );
    }

    #[test]
    fn commands_are_quoted_and_shortened() {
        assert_eq!(
            quoted("sh -c 'while true; do x; done'", false),
            "\"sh -c 'while true; …\""
        );
        assert_eq!(quoted("echo \"a\"", true), "\"echo \\\"a\\\"\"");
    }
}
