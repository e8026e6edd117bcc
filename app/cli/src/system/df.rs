//! `system df`: what takes up space.

use clap::Args;
use jiff::Timestamp;
use proa_host::Request;
use serde::Deserialize;

use crate::container::list::Mount;
use crate::failure::{Exit, Failure};
use crate::image::list::{Summary, short_id};
use crate::output::format::{Listing, Row, row};
use crate::output::{self, ago, size, table};
use crate::session::Session;
use crate::verb::Act;
use crate::volume::list::Volume;

/// Flags of `system df`.
#[derive(Args, Debug)]
pub(crate) struct Df {
    /// table, json, or a template
    #[arg(long)]
    format: Option<String>,
    /// Show each thing
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Usage {
    layers_size: u64,
    images: Option<Vec<Summary>>,
    containers: Option<Vec<Container>>,
    volumes: Option<Vec<Volume>>,
    build_cache: Option<Vec<Cache>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Container {
    id: String,
    names: Option<Vec<String>>,
    image: String,
    command: String,
    created: i64,
    state: String,
    status: String,
    size_rw: u64,
    mounts: Option<Vec<Mount>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Cache {
    size: u64,
    in_use: bool,
}

const HEADINGS: &[(&str, &str)] = &[
    ("Type", "TYPE"),
    ("TotalCount", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
];

impl Act for Df {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let usage: Usage = session
            .engine()?
            // The last version that lists everything; later ones only add up.
            .ask(Request::get(&["v1.51", "system", "df"]))
            .await?;
        if self.verbose {
            output::write(usage.spelled(Timestamp::now()).as_bytes())?;
            return Ok(Exit::OK);
        }
        let table =
            "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}".to_owned();
        let listing = Listing {
            table,
            headings: HEADINGS,
            rows: usage.rows(),
        };
        output::write(listing.shown(self.format.as_deref())?.as_bytes())?;
        Ok(Exit::OK)
    }
}

/// One line of the summary.
struct Line {
    kind: &'static str,
    count: usize,
    active: usize,
    size: u64,
    reclaimable: u64,
}

impl Line {
    fn row(&self) -> Row {
        let share = (self.reclaimable * 100).checked_div(self.size);
        let share = share.map_or_else(String::new, |share| format!(" ({share}%)"));
        row([
            ("Active", self.active.to_string()),
            (
                "Reclaimable",
                format!("{}{share}", size::decimal(self.reclaimable)),
            ),
            ("Size", size::decimal(self.size)),
            ("TotalCount", self.count.to_string()),
            ("Type", self.kind.to_owned()),
        ])
    }
}

impl Usage {
    fn rows(&self) -> Vec<Row> {
        [
            self.images(),
            self.containers(),
            self.volumes(),
            self.cache(),
        ]
        .iter()
        .map(Line::row)
        .collect()
    }

    fn images(&self) -> Line {
        let images = self.images.as_deref().unwrap_or_default();
        let used = images.iter().filter(|image| image.containers > 0);
        let used_size: u64 = used
            .clone()
            .map(|image| {
                image
                    .size
                    .saturating_sub(u64::try_from(image.shared_size).unwrap_or(0))
            })
            .sum();
        Line {
            kind: "Images",
            count: images.len(),
            active: used.count(),
            size: self.layers_size,
            reclaimable: self.layers_size.saturating_sub(used_size),
        }
    }

    fn containers(&self) -> Line {
        let containers = self.containers.as_deref().unwrap_or_default();
        let active = |container: &&Container| {
            matches!(
                container.state.as_str(),
                "running" | "paused" | "restarting"
            )
        };
        let size: u64 = containers.iter().map(|container| container.size_rw).sum();
        let kept: u64 = containers
            .iter()
            .filter(active)
            .map(|container| container.size_rw)
            .sum();
        Line {
            kind: "Containers",
            count: containers.len(),
            active: containers.iter().filter(active).count(),
            size,
            reclaimable: size - kept,
        }
    }

    fn volumes(&self) -> Line {
        let volumes = self.volumes.as_deref().unwrap_or_default();
        let bytes = |volume: &Volume| {
            volume
                .usage_data
                .as_ref()
                .and_then(|usage| u64::try_from(usage.size).ok())
                .unwrap_or(0)
        };
        let used = |volume: &&Volume| {
            volume
                .usage_data
                .as_ref()
                .is_some_and(|usage| usage.ref_count > 0)
        };
        let size: u64 = volumes.iter().map(bytes).sum();
        let kept: u64 = volumes.iter().filter(used).map(bytes).sum();
        Line {
            kind: "Local Volumes",
            count: volumes.len(),
            active: volumes.iter().filter(used).count(),
            size,
            reclaimable: size - kept,
        }
    }

    fn cache(&self) -> Line {
        let cache = self.build_cache.as_deref().unwrap_or_default();
        let size: u64 = cache.iter().map(|entry| entry.size).sum();
        let kept: u64 = cache
            .iter()
            .filter(|entry| entry.in_use)
            .map(|entry| entry.size)
            .sum();
        let active = cache.iter().filter(|entry| entry.in_use).count();
        Line {
            kind: "Build Cache",
            count: cache.len(),
            active,
            size,
            reclaimable: size - kept,
        }
    }

    /// Every image, container and volume in tables of their own.
    fn spelled(&self, now: Timestamp) -> String {
        let mut images = vec![
            "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\tSHARED SIZE\tUNIQUE SIZE\tCONTAINERS"
                .to_owned(),
        ];
        for image in self.images.iter().flatten() {
            let shared = u64::try_from(image.shared_size).unwrap_or(0);
            let name = image
                .repo_tags
                .iter()
                .flatten()
                .next()
                .map_or("<none>:<none>", String::as_str);
            let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "<none>"));
            images.push(format!(
                "{repository}\t{tag}\t{}\t{}\t{}\t{}\t{}\t{}",
                short_id(&image.id, false),
                ago::since(image.created, now),
                size::short(image.size),
                size::short(shared),
                size::decimal(image.size.saturating_sub(shared)),
                image.containers.max(0),
            ));
        }
        let mut containers = vec![
            "CONTAINER ID\tIMAGE\tCOMMAND\tLOCAL VOLUMES\tSIZE\tCREATED\tSTATUS\tNAMES".to_owned(),
        ];
        for container in self.containers.iter().flatten() {
            let names: Vec<_> = container
                .names
                .iter()
                .flatten()
                .map(|name| name.trim_start_matches('/'))
                .collect();
            containers.push(format!(
                "{}\t{}\t{:?}\t{}\t{}\t{}\t{}\t{}",
                short_id(&container.id, false),
                container.image,
                crate::container::list::shortened(&container.command, 20),
                container
                    .mounts
                    .iter()
                    .flatten()
                    .filter(|mount| mount.driver == "local")
                    .count(),
                size::short(container.size_rw),
                ago::since(container.created, now),
                container.status,
                names.join(","),
            ));
        }
        let mut volumes = vec!["VOLUME NAME\tLINKS\tSIZE".to_owned()];
        for volume in self.volumes.iter().flatten() {
            let row = volume.row();
            let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
            volumes.push(format!(
                "{}\t{}\t{}",
                text("Name"),
                text("Links"),
                text("Size")
            ));
        }
        format!(
            "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}",
            table::aligned(&images),
            table::aligned(&containers),
            table::aligned(&volumes),
        )
    }
}
