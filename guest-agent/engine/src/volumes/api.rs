//! Volumes as Docker's API shows them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use proa_protocol::{
    Filters, TextMap, Volume, VolumeCreateBody, VolumeList, VolumePruneResponse, VolumeUsage,
};

use super::{NewVolume, Record};
use crate::{Engine, Error, Result, error::Context};

impl Engine {
    /// `GET /volumes`
    pub fn volume_list(&self, filters: &Filters) -> Result<VolumeList> {
        let bad = |e: proa_protocol::BadFilter| Error::bad(e.to_string());
        filters
            .only(&["dangling", "driver", "label", "name"])
            .map_err(|e| Error::bad(e.to_string()))?;
        let dangling = filters.truth("dangling").map_err(bad)?;
        let fits = |record: &Record| {
            filters.any("name", |wanted| record.name.contains(wanted))
                && filters.allows("driver", "local")
                && filters.labels("label", &record.labels)
                && dangling.is_none_or(|wanted| wanted == self.users_of(&record.name).is_empty())
        };
        let found = self.volumes().list();
        let volumes = found.iter().filter(|record| fits(record));
        Ok(VolumeList {
            volumes: volumes.map(|record| self.volume_document(record)).collect(),
            warnings: None,
        })
    }

    /// `GET /volumes/{name}`
    pub fn volume_inspect(&self, name: &str) -> Result<Volume> {
        Ok(self.volume_document(&self.volumes().find(name)?))
    }

    /// `POST /volumes/create`
    pub async fn volume_create(&self, body: VolumeCreateBody) -> Result<Volume> {
        let new = NewVolume {
            name: Some(body.name).filter(|name| !name.is_empty()),
            driver: body.driver,
            labels: body.labels.unwrap_or_default(),
            options: body.driver_opts.unwrap_or_default(),
        };
        let (record, is_new) = self.volumes().create(new).await?;
        if is_new {
            self.tell_volume("create", &record.name);
        }
        Ok(self.volume_document(&record))
    }

    /// `DELETE /volumes/{name}`. With `force` one that does not exist is removed already.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        if force && self.volumes().find(name).is_err() {
            return Ok(());
        }
        self.volumes().find(name)?;
        let users = self.users_of(name);
        if !users.is_empty() {
            let users = users.join(", ");
            return Err(Error::conflict(format!(
                "remove {name}: volume is in use - [{users}]"
            )));
        }
        self.volumes().delete(name).await?;
        self.tell_volume("destroy", name);
        Ok(())
    }

    /// `POST /volumes/prune`: the anonymous ones that nobody uses, or with the filter `all` every one.
    pub async fn volume_prune(
        &self,
        filters: &Filters,
        named_too: bool,
    ) -> Result<VolumePruneResponse> {
        let bad = |e: proa_protocol::BadFilter| Error::bad(e.to_string());
        filters.only(&["all", "label", "label!"]).map_err(bad)?;
        let all = named_too || filters.truth("all").map_err(bad)?.unwrap_or_default();
        let mut answer = VolumePruneResponse::default();
        let mut deleted = Vec::new();
        for record in self.volumes().list() {
            let spared = filters
                .values("label!")
                .any(|wanted| carries(&record.labels, wanted));
            // With options it shows something that is not the volume's own.
            let wanted = (all || record.anonymous)
                && record.options.is_empty()
                && filters.labels("label", &record.labels);
            if !wanted || spared || !self.users_of(&record.name).is_empty() {
                continue;
            }
            let size = self.volume_size(&record.name).await?;
            self.volumes().delete(&record.name).await?;
            self.tell_volume("destroy", &record.name);
            answer.space_reclaimed += size;
            deleted.push(record.name);
        }
        self.tell(
            "volume",
            "prune",
            "",
            TextMap::from([("reclaimed".to_owned(), answer.space_reclaimed.to_string())]),
        );
        answer.volumes_deleted = Some(deleted);
        Ok(answer)
    }

    /// Every volume with its size and the number of its users.
    pub(crate) async fn volume_usage(&self) -> Result<Vec<Volume>> {
        let mut volumes = Vec::new();
        let own = |record: &Record| record.options.is_empty();
        for record in self.volumes().list().into_iter().filter(own) {
            let usage = VolumeUsage {
                ref_count: self.users_of(&record.name).len() as i64,
                size: self.volume_size(&record.name).await? as i64,
            };
            volumes.push(Volume {
                usage_data: Some(usage),
                ..self.volume_document(&record)
            });
        }
        Ok(volumes)
    }

    async fn volume_size(&self, name: &str) -> Result<u64> {
        let data = self.volumes().mountpoint(name);
        let added = tokio::task::spawn_blocking(move || size_beneath(&data)).await;
        added.context(|| format!("measure volume {name}"))
    }

    /// The ids of the containers that have the volume.
    pub(super) fn users_of(&self, volume: &str) -> Vec<String> {
        let uses = |container: &crate::Container| {
            let seen = container.seen();
            seen.definition.volumes().any(|(name, _)| name == volume)
        };
        let all = self.containers.all();
        let users = all.iter().filter(|container| uses(container));
        users.map(|container| container.id().to_string()).collect()
    }

    pub(super) fn volume_document(&self, record: &Record) -> Volume {
        let some = |map: &TextMap| (!map.is_empty()).then(|| map.clone());
        Volume {
            created_at: format!("{:.0}", record.created),
            driver: "local".to_owned(),
            labels: some(&record.labels),
            mountpoint: self
                .volumes()
                .mountpoint(&record.name)
                .display()
                .to_string(),
            name: record.name.clone(),
            options: some(&record.options),
            scope: "local".to_owned(),
            usage_data: None,
        }
    }
}

/// Whether the labels hold `name`, or `name=value`.
fn carries(labels: &TextMap, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|has| has == value),
        None => labels.contains_key(wanted),
    }
}

/// Bytes on disk of a folder. What vanishes meanwhile counts nothing; a file with several names counts once.
fn size_beneath(folder: &Path) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let mut open = vec![folder.to_owned()];
    let mut total = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                open.push(entry.path());
            } else if metadata.nlink() == 1 || seen.insert((metadata.dev(), metadata.ino())) {
                total += metadata.len();
            }
        }
    }
    total
}
