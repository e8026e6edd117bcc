//! `images`: images as a list.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use proa_host::Request;
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::flags::filter;
use crate::output::format::{Listing, Row, row};
use crate::output::{self, ago, size};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `images`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Show images that only others stand on, too
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
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
    #[arg(value_name = "REPOSITORY[:TAG]")]
    repository: Option<String>,
}

const HEADINGS: &[(&str, &str)] = &[
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
];

impl Act for List {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let mut filters = self.filter.clone();
        filters.extend(
            self.repository
                .iter()
                .map(|name| format!("reference={name}")),
        );
        let request = Request::get(&["images", "json"])
            .flag("all", self.all)
            .maybe("filters", filter::query(&filters)?);
        let mut images: Vec<Summary> = session.engine()?.ask(request).await?;
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        let wants_digests = self.digests
            || self
                .format
                .as_ref()
                .is_some_and(|format| format.contains(".Digest"));
        let now = Timestamp::now();
        let rows: Vec<Row> = images
            .iter()
            .flat_map(|image| image.rows(wants_digests, self.no_trunc, now))
            .collect();
        if self.quiet && self.format.is_none() {
            for row in &rows {
                output::line(row["ID"].as_str().unwrap_or_default())?;
            }
            return Ok(Exit::OK);
        }
        let digest = if self.digests { "{{.Digest}}\t" } else { "" };
        let table = format!(
            "{{{{.Repository}}}}\t{{{{.Tag}}}}\t{digest}{{{{.ID}}}}\t{{{{.CreatedSince}}}}\t{{{{.Size}}}}"
        );
        let listing = Listing {
            table,
            headings: HEADINGS,
            rows,
        };
        output::write(listing.shown(self.format.as_deref())?.as_bytes())?;
        Ok(Exit::OK)
    }
}

/// One image as the engine lists it.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Summary {
    pub(crate) id: String,
    pub(crate) repo_tags: Option<Vec<String>>,
    pub(crate) repo_digests: Option<Vec<String>>,
    pub(crate) created: i64,
    pub(crate) size: u64,
    pub(crate) shared_size: i64,
    pub(crate) containers: i64,
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

const NONE: &str = "<none>";

impl Summary {
    /// A row for each name.
    fn rows(&self, digests: bool, whole: bool, now: Timestamp) -> Vec<Row> {
        let names = self.names(digests);
        names
            .into_iter()
            .map(|(repository, tag, digest)| self.row(repository, tag, digest, whole, now))
            .collect()
    }

    /// Repository, tag and digest of each name the image has; one nameless triple where it has none.
    fn names(&self, digests: bool) -> Vec<(String, String, String)> {
        let split = |name: &String, at: char| {
            name.rsplit_once(at)
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        };
        let tags: Vec<_> = self
            .repo_tags
            .iter()
            .flatten()
            .filter(|tag| *tag != "<none>:<none>")
            .filter_map(|tag| split(tag, ':'))
            .collect();
        let digested: Vec<_> = self
            .repo_digests
            .iter()
            .flatten()
            .filter(|name| *name != "<none>@<none>")
            .filter_map(|name| split(name, '@'))
            .collect();
        let none = || NONE.to_owned();
        let digest_of = |repository: &String| {
            digested
                .iter()
                .find(|(name, _)| name == repository)
                .map_or_else(none, |(_, digest)| digest.clone())
        };
        let mut names: Vec<_> = tags
            .iter()
            .map(|(name, tag)| (name.clone(), tag.clone(), digest_of(name)))
            .collect();
        let tagged = |name: &String| tags.iter().any(|(tagged, _)| tagged == name);
        let untagged = digested.iter().filter(|(name, _)| !tagged(name));
        let mut seen: Vec<&String> = Vec::new();
        for (name, digest) in untagged {
            if digests || !seen.contains(&name) {
                names.push((name.clone(), none(), digest.clone()));
                seen.push(name);
            }
        }
        if names.is_empty() {
            names.push((none(), none(), none()));
        }
        names
    }

    fn row(
        &self,
        repository: String,
        tag: String,
        digest: String,
        whole: bool,
        now: Timestamp,
    ) -> Row {
        let unknown = |count: i64| {
            if count < 0 {
                "N/A".to_owned()
            } else {
                count.to_string()
            }
        };
        let shared = u64::try_from(self.shared_size).ok();
        let sized = |bytes: Option<u64>| bytes.map_or_else(|| "N/A".to_owned(), size::short);
        row([
            ("Containers", unknown(self.containers)),
            ("CreatedAt", ago::spelled(self.created)),
            ("CreatedSince", ago::since(self.created, now)),
            ("Digest", digest),
            ("ID", short_id(&self.id, whole)),
            ("Repository", repository),
            ("SharedSize", sized(shared)),
            ("Size", size::short(self.size)),
            ("Tag", tag),
            (
                "UniqueSize",
                sized(shared.map(|shared| self.size.saturating_sub(shared))),
            ),
            ("VirtualSize", size::short(self.size)),
        ])
    }
}

/// An image's ID as tables show it.
pub(crate) fn short_id(id: &str, whole: bool) -> String {
    if whole {
        id.to_owned()
    } else {
        id.strip_prefix("sha256:")
            .unwrap_or(id)
            .chars()
            .take(12)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_row_for_each_name() {
        let texts = |list: &[&str]| Some(list.iter().map(|text| (*text).to_owned()).collect());
        let image = Summary {
            repo_tags: texts(&["h:5000/a:1", "h:5000/a:2"]),
            repo_digests: texts(&["h:5000/a@sha256:0", "b@sha256:1"]),
            ..Summary::default()
        };
        let shown: Vec<_> = image
            .names(false)
            .into_iter()
            .map(|(name, tag, digest)| format!("{name} {tag} {digest}"))
            .collect();
        assert_eq!(
            shown,
            [
                "h:5000/a 1 sha256:0",
                "h:5000/a 2 sha256:0",
                "b <none> sha256:1"
            ]
        );
        assert_eq!(Summary::default().names(false).len(), 1);
    }
}
