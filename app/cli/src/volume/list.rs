//! `volume ls`.

use std::collections::BTreeMap;

use clap::Args;
use proa_host::Request;
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::flags::filter;
use crate::output::format::{Listing, Row, row};
use crate::output::{self, size};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `volume ls`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Show only those that match: name=value
    #[arg(short, long)]
    filter: Vec<String>,
    /// table, json, or a template
    #[arg(long)]
    format: Option<String>,
    /// Print names only
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volumes {
    volumes: Option<Vec<Volume>>,
}

/// A volume as the engine lists it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Volume {
    pub(crate) name: String,
    driver: String,
    scope: String,
    mountpoint: String,
    labels: Option<BTreeMap<String, String>>,
    pub(crate) usage_data: Option<Usage>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Usage {
    pub(crate) size: i64,
    pub(crate) ref_count: i64,
}

pub(crate) const HEADINGS: &[(&str, &str)] = &[
    ("Driver", "DRIVER"),
    ("Name", "VOLUME NAME"),
    ("Scope", "SCOPE"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Size", "SIZE"),
];

impl Act for List {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let request = Request::get(&["volumes"]).maybe("filters", filter::query(&self.filter)?);
        let found: Volumes = session.engine()?.ask(request).await?;
        let mut volumes = found.volumes.unwrap_or_default();
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        if self.quiet && self.format.is_none() {
            volumes
                .iter()
                .try_for_each(|volume| output::line(&volume.name))?;
            return Ok(Exit::OK);
        }
        let rows = volumes.iter().map(Volume::row).collect();
        let listing = Listing {
            table: "{{.Driver}}\t{{.Name}}".to_owned(),
            headings: HEADINGS,
            rows,
        };
        output::write(listing.shown(self.format.as_deref())?.as_bytes())?;
        Ok(Exit::OK)
    }
}

impl Volume {
    pub(crate) fn row(&self) -> Row {
        let unknown = || "N/A".to_owned();
        let usage = self.usage_data.as_ref();
        row([
            ("Driver", self.driver.clone()),
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
                "Links",
                usage.map_or_else(unknown, |usage| usage.ref_count.to_string()),
            ),
            ("Mountpoint", self.mountpoint.clone()),
            ("Name", self.name.clone()),
            ("Scope", self.scope.clone()),
            (
                "Size",
                usage
                    .and_then(|usage| u64::try_from(usage.size).ok())
                    .map_or_else(unknown, size::short),
            ),
        ])
    }
}
