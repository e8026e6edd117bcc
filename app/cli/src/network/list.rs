//! `network ls`.

use std::collections::BTreeMap;

use clap::Args;
use proa_host::Request;
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::flags::filter;
use crate::output;
use crate::output::format::{Listing, Row, row};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `network ls`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Show only those that match: name=value
    #[arg(short, long)]
    filter: Vec<String>,
    /// table, json, or a template
    #[arg(long)]
    format: Option<String>,
    /// Do not shorten anything
    #[arg(long)]
    no_trunc: bool,
    /// Print IDs only
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Network {
    id: String,
    name: String,
    driver: String,
    scope: String,
    created: String,
    #[serde(rename = "EnableIPv6")]
    ipv6: bool,
    internal: bool,
    labels: Option<BTreeMap<String, String>>,
}

const HEADINGS: &[(&str, &str)] = &[
    ("ID", "NETWORK ID"),
    ("Name", "NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("IPv6", "IPV6"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("CreatedAt", "CREATED AT"),
];

impl Act for List {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let request = Request::get(&["networks"]).maybe("filters", filter::query(&self.filter)?);
        let mut networks: Vec<Network> = session.engine()?.ask(request).await?;
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        if self.quiet && self.format.is_none() {
            networks
                .iter()
                .try_for_each(|network| output::line(&network.short_id(self.no_trunc)))?;
            return Ok(Exit::OK);
        }
        let rows = networks
            .iter()
            .map(|network| network.row(self.no_trunc))
            .collect();
        let listing = Listing {
            table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}".to_owned(),
            headings: HEADINGS,
            rows,
        };
        output::write(listing.shown(self.format.as_deref())?.as_bytes())?;
        Ok(Exit::OK)
    }
}

impl Network {
    fn short_id(&self, whole: bool) -> String {
        if whole {
            self.id.clone()
        } else {
            self.id.chars().take(12).collect()
        }
    }

    fn row(&self, whole: bool) -> Row {
        row([
            ("CreatedAt", self.created.clone()),
            ("Driver", self.driver.clone()),
            ("ID", self.short_id(whole)),
            ("IPv6", self.ipv6.to_string()),
            ("Internal", self.internal.to_string()),
            (
                "Labels",
                self.labels
                    .iter()
                    .flatten()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect::<Vec<_>>()
                    .join(","),
            ),
            ("Name", self.name.clone()),
            ("Scope", self.scope.clone()),
        ])
    }
}
