//! `prune`: networks that nobody is in go.

use proa_protocol::{Filters, NetworkPruneResponse, TextMap, timestamp};

use super::Record;
use crate::{Engine, Error, Result, clock};

impl Engine {
    /// `POST /networks/prune`
    pub async fn network_prune(&self, filters: &Filters) -> Result<NetworkPruneResponse> {
        let bad = |error: proa_protocol::BadFilter| Error::bad(error.to_string());
        filters.only(&["label", "label!", "until"]).map_err(bad)?;
        let until = filters.values("until").next();
        let until = until
            .map(|text| timestamp::parse(text, clock::now()))
            .transpose()
            .map_err(|error| Error::bad(error.to_string()))?;
        let fits = |record: &Record| {
            filters.labels("label", &record.labels)
                && !filters
                    .values("label!")
                    .any(|wanted| carries(&record.labels, wanted))
                && until.is_none_or(|until| record.created < until)
        };
        let mut deleted = Vec::new();
        for record in self.networks.all() {
            if record.is_always_there() || !fits(&record) || self.is_wanted(&record) {
                continue;
            }
            match self.remove_network(&record).await {
                Ok(()) => deleted.push(record.name.clone()),
                Err(error) => tracing::warn!(
                    network = record.name,
                    error = error.told(),
                    "a network was not pruned"
                ),
            }
        }
        let reclaimed = TextMap::from([("reclaimed".to_owned(), "0".to_owned())]);
        self.tell("network", "prune", "", reclaimed);
        Ok(NetworkPruneResponse {
            networks_deleted: (!deleted.is_empty()).then_some(deleted),
        })
    }

    /// Whether somebody is in it.
    fn is_wanted(&self, record: &Record) -> bool {
        !self.networks.endpoints_of(&record.id).is_empty()
    }
}

/// Whether the labels hold `name`, or `name=value`.
fn carries(labels: &TextMap, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|has| has == value),
        None => labels.contains_key(wanted),
    }
}
