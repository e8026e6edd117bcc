//! `prune`: what is not used.

use clap::Args;
use proa_host::{Engine, Request};
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::flags::filter;
use crate::output::{self, size};
use crate::session::Session;
use crate::terminal::prompt;
use crate::verb::Act;

pub(crate) const CONTAINERS: usize = 0;
pub(crate) const IMAGES: usize = 1;
pub(crate) const VOLUMES: usize = 2;
pub(crate) const NETWORKS: usize = 3;

/// Flags of `prune` about one kind of thing.
#[derive(Args, Debug)]
pub(crate) struct PruneOne<const KIND: usize> {
    /// All unused ones: images with a name, volumes with a name
    #[arg(short, long, hide = KIND == CONTAINERS || KIND == NETWORKS)]
    all: bool,
    /// Only those that match: until=TIME, label=NAME
    #[arg(long)]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Flags of `system prune`.
#[derive(Args, Debug)]
pub(crate) struct PruneAll {
    /// All unused images, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Only those that match: until=TIME, label=NAME
    #[arg(long)]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Anonymous volumes too
    #[arg(long)]
    volumes: bool,
}

impl<const KIND: usize> Act for PruneOne<KIND> {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let warning = match KIND {
            CONTAINERS => "all stopped containers",
            IMAGES if self.all => "all images without at least one container associated to them",
            IMAGES => "all dangling images",
            VOLUMES if self.all => "all volumes not used by at least one container",
            VOLUMES => "anonymous local volumes not used by at least one container",
            _ => "all networks not used by at least one container",
        };
        if !self.force
            && !prompt::confirm(&format!(
                "WARNING! This will remove {warning}.\nAre you sure you want to continue?"
            ))?
        {
            return Err(Failure::usage("nothing was removed"));
        }
        let freed = prune(session.engine()?, KIND, self.all, &self.filter).await?;
        if KIND != NETWORKS {
            output::line(&format!("Total reclaimed space: {}", size::short(freed)))?;
        }
        Ok(Exit::OK)
    }
}

impl Act for PruneAll {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let images = if self.all {
            "all images without at least one container associated to them"
        } else {
            "all dangling images"
        };
        let volumes = if self.volumes {
            "\n  - all anonymous volumes not used by at least one container"
        } else {
            ""
        };
        let question = format!(
            "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container{volumes}\n  - {images}\n\nAre you sure you want to continue?"
        );
        if !self.force && !prompt::confirm(&question)? {
            return Err(Failure::usage("nothing was removed"));
        }
        let engine = session.engine()?;
        let mut freed = prune(engine, CONTAINERS, false, &self.filter).await?;
        prune(engine, NETWORKS, false, &self.filter).await?;
        if self.volumes {
            freed += prune(engine, VOLUMES, false, &self.filter).await?;
        }
        freed += prune(engine, IMAGES, self.all, &self.filter).await?;
        output::line(&format!("Total reclaimed space: {}", size::short(freed)))?;
        Ok(Exit::OK)
    }
}

/// Prunes one kind, prints what is gone, and returns how much space that freed.
async fn prune(
    engine: &Engine,
    kind: usize,
    all: bool,
    filters: &[String],
) -> Result<u64, Failure> {
    let noun = ["containers", "images", "volumes", "networks"][kind];
    let mut filters = filters.to_vec();
    match kind {
        IMAGES => filters.push(format!("dangling={}", !all)),
        VOLUMES if all => filters.push("all=true".to_owned()),
        _ => {}
    }
    let report: Value = engine
        .ask(Request::post(&[noun, "prune"]).maybe("filters", filter::query(&filters)?))
        .await?;
    let gone = lines(&report, kind);
    if !gone.is_empty() {
        let heading = [
            "Deleted Containers:",
            "Deleted Images:",
            "Deleted Volumes:",
            "Deleted Networks:",
        ][kind];
        output::write(format!("{heading}\n{}\n\n", gone.join("\n")).as_bytes())?;
    }
    Ok(report["SpaceReclaimed"].as_u64().unwrap_or(0))
}

fn lines(report: &Value, kind: usize) -> Vec<String> {
    let field = [
        "ContainersDeleted",
        "ImagesDeleted",
        "VolumesDeleted",
        "NetworksDeleted",
    ][kind];
    let entry = |entry: &Value| match entry {
        Value::String(name) => Some(name.clone()),
        other => {
            let named = |field: &str, word: &str| {
                other[field]
                    .as_str()
                    .filter(|name| !name.is_empty())
                    .map(|name| format!("{word}: {name}"))
            };
            named("Untagged", "untagged").or_else(|| named("Deleted", "deleted"))
        }
    };
    report[field]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(entry)
        .collect()
}
