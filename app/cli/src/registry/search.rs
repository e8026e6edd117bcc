//! `search`: images on Docker Hub.

use clap::Args;
use proa_host::Request;
use proa_host::credentials::{Settings, server_of_image};
use serde::Deserialize;

use crate::container::list::shortened;
use crate::failure::{Exit, Failure};
use crate::flags::filter;
use crate::output;
use crate::output::format::{Listing, row};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `search`.
#[derive(Args, Debug)]
pub(crate) struct Search {
    /// Show only those that match: name=value
    #[arg(short, long)]
    filter: Vec<String>,
    /// table, json, or a template
    #[arg(long)]
    format: Option<String>,
    /// Show at most so many
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    limit: u32,
    /// Do not shorten anything
    #[arg(long)]
    no_trunc: bool,
    term: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Found {
    name: String,
    description: String,
    star_count: u64,
    is_official: bool,
}

const HEADINGS: &[(&str, &str)] = &[
    ("Name", "NAME"),
    ("Description", "DESCRIPTION"),
    ("StarCount", "STARS"),
    ("IsOfficial", "OFFICIAL"),
    ("IsAutomated", "AUTOMATED"),
];

impl Act for Search {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let mut request = Request::get(&["images", "search"])
            .query("term", &self.term)
            .query("limit", &self.limit.to_string())
            .maybe("filters", filter::query(&self.filter)?);
        if let Some(credentials) = Settings::load()?.find(&server_of_image(&self.term))? {
            request = request.header("x-registry-auth", credentials.header());
        }
        let mut found: Vec<Found> = session.engine()?.ask(request).await?;
        found.sort_by_key(|found| std::cmp::Reverse(found.star_count));
        let ok = |flag: bool| {
            if flag {
                "[OK]".to_owned()
            } else {
                String::new()
            }
        };
        let rows = found.iter().map(|found| {
            let text = found.description.replace(['\n', '\r'], " ");
            row([
                (
                    "Description",
                    if self.no_trunc {
                        text
                    } else {
                        shortened(&text, 45)
                    },
                ),
                ("IsAutomated", String::new()),
                ("IsOfficial", ok(found.is_official)),
                ("Name", found.name.clone()),
                ("StarCount", found.star_count.to_string()),
            ])
        });
        let table = "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}".to_owned();
        let listing = Listing {
            table,
            headings: HEADINGS,
            rows: rows.collect(),
        };
        output::write(listing.shown(self.format.as_deref())?.as_bytes())?;
        Ok(Exit::OK)
    }
}
