//! `history`: how an image came to be.

use clap::Args;
use jiff::Timestamp;
use proa_host::Request;
use serde::Deserialize;

use super::list::short_id;
use crate::container::list::shortened;
use crate::failure::{Exit, Failure};
use crate::output::format::{Listing, row};
use crate::output::{self, ago, size};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `history`.
#[derive(Args, Debug)]
pub(crate) struct History {
    /// table, json, or a template
    #[arg(long)]
    format: Option<String>,
    /// Show sizes and dates for people
    #[arg(short = 'H', long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    human: bool,
    /// Do not shorten anything
    #[arg(long)]
    no_trunc: bool,
    /// Print IDs only
    #[arg(short, long)]
    quiet: bool,
    image: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    id: String,
    created: i64,
    created_by: String,
    size: u64,
    comment: String,
}

const HEADINGS: &[(&str, &str)] = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

impl Act for History {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let entries: Vec<Entry> = session
            .engine()?
            .ask(Request::get(&["images", &self.image, "history"]))
            .await?;
        if self.quiet && self.format.is_none() {
            for entry in &entries {
                output::line(&short_id(&entry.id, self.no_trunc))?;
            }
            return Ok(Exit::OK);
        }
        let now = Timestamp::now();
        let rows = entries.iter().map(|entry| {
            let by = entry.created_by.replace('\t', " ");
            let at = Timestamp::from_second(entry.created)
                .map(|moment| moment.to_string())
                .unwrap_or_default();
            row([
                ("Comment", entry.comment.clone()),
                ("CreatedAt", at.clone()),
                (
                    "CreatedBy",
                    if self.no_trunc {
                        by
                    } else {
                        shortened(&by, 45)
                    },
                ),
                (
                    "CreatedSince",
                    if self.human {
                        ago::since(entry.created, now)
                    } else {
                        at
                    },
                ),
                ("ID", short_id(&entry.id, self.no_trunc)),
                (
                    "Size",
                    if self.human {
                        size::short(entry.size)
                    } else {
                        entry.size.to_string()
                    },
                ),
            ])
        });
        let since = if self.human {
            "{{.CreatedSince}}"
        } else {
            "{{.CreatedAt}}"
        };
        let listing = Listing {
            table: format!(
                "{{{{.ID}}}}\t{since}\t{{{{.CreatedBy}}}}\t{{{{.Size}}}}\t{{{{.Comment}}}}"
            ),
            headings: HEADINGS,
            rows: rows.collect(),
        };
        output::write(listing.shown(self.format.as_deref())?.as_bytes())?;
        Ok(Exit::OK)
    }
}
