//! `prune`: every container that does not run.

use jiff::Timestamp;
use proa_protocol::{ContainerPruneResponse, TextMap, timestamp};

use super::{Container, RemoveOptions, state::State};
use crate::{Engine, Error, Filters, Result, clock};

impl Engine {
    /// Removes containers that do not run.
    pub async fn prune_containers(&self, filters: Filters) -> Result<ContainerPruneResponse> {
        filters
            .only(&["label", "label!", "until"])
            .map_err(|error| Error::bad(error.to_string()))?;
        let until = filters.values("until").next();
        let until = until
            .map(|text| {
                timestamp::parse(text, clock::now()).map_err(|error| Error::bad(error.to_string()))
            })
            .transpose()?;
        let (mut deleted, mut reclaimed) = (Vec::new(), 0);
        for container in self.containers.all() {
            if !is_idle(&container, &filters, until) {
                continue;
            }
            let (own, _) = container.size().await?;
            match container.remove(RemoveOptions::default()).await {
                Ok(()) => {
                    deleted.push(container.id().to_string());
                    reclaimed += u64::try_from(own).unwrap_or(0);
                }
                // Started or removed meanwhile.
                Err(error) => {
                    tracing::warn!(id = %container.id(), error = error.told(), "pruning a container failed");
                }
            }
        }
        self.tell(
            "container",
            "prune",
            "",
            TextMap::from([("reclaimed".to_owned(), reclaimed.to_string())]),
        );
        Ok(ContainerPruneResponse {
            containers_deleted: (!deleted.is_empty()).then_some(deleted),
            space_reclaimed: reclaimed,
        })
    }
}

fn is_idle(container: &Container, filters: &Filters, until: Option<Timestamp>) -> bool {
    let seen = container.seen();
    let idle = match &seen.state {
        State::Created(_) | State::Exited(_) => true,
        State::Running(_) | State::Paused(_) | State::Restarting(_) | State::Removing(_) => false,
    };
    let labels = seen.definition.labels();
    let unwanted = filters.has("label!") && filters.labels("label!", labels);
    idle && until.is_none_or(|until| seen.definition.created < until)
        && filters.labels("label", labels)
        && !unwanted
}
