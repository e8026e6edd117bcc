//! `remove`: the delete is committed first, then the kernel's part goes.

use std::sync::Arc;

use super::{Networks, Record, translate};
use crate::{Engine, Error, Kind, Result, db::Change, engine::lock, error::Context};

impl Engine {
    /// `DELETE /networks/{id}`
    pub async fn network_remove(&self, wanted: &str) -> Result<()> {
        let record = self.networks.find(wanted)?;
        if record.is_always_there() {
            return Err(Error::new(
                Kind::Forbidden,
                format!(
                    "{} is a pre-defined network and cannot be removed",
                    record.name
                ),
            ));
        }
        self.remove_network(&record).await
    }

    pub(super) async fn remove_network(&self, record: &Arc<Record>) -> Result<()> {
        self.networks.forget(record)?;
        let gone = Change::NetworkGone {
            id: record.id.clone(),
        };
        if let Err(error) = self.networks.db.commit(gone).await {
            self.networks.insert(record.as_ref().clone());
            return Err(error);
        }
        let networks = Arc::clone(&self.networks);
        let id = record.id.clone();
        let removal = move || {
            let _changing = lock(&networks.changing);
            networks.names.forget_network(&id);
            networks.fabric.remove(&id)
        };
        let removed = tokio::task::spawn_blocking(removal)
            .await
            .context(|| format!("remove network {}", record.name))?;
        self.tell_network("destroy", record, None);
        removed.map_err(translate)
    }
}

impl Networks {
    /// Takes a network out of sight, unless somebody is in it.
    fn forget(&self, record: &Record) -> Result<()> {
        let mut known = lock(&self.known);
        let users: Vec<String> = known
            .active
            .iter()
            .filter(|(_, active)| active.network == record.id)
            .map(|(id, active)| format!("name:{:?} id:{:?}", active.container_name, &id[..12]))
            .collect();
        if users.is_empty() {
            let gone = known.by_id.remove(&record.id);
            let missing = || Error::not_found(format!("network {} not found", record.name));
            return gone.map(|_| ()).ok_or_else(missing);
        }
        Err(Error::new(
            Kind::Forbidden,
            format!(
                "error while removing network: network {} id {} has active endpoints ({})",
                record.name,
                record.id,
                users.join(", ")
            ),
        ))
    }
}
