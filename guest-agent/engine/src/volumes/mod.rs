//! Volumes: directories that outlive containers, by name.
//!
//! A [`Record`] is what is kept of one; its files are in `<root>/volumes/<name>/_data`. Who uses a volume is not
//! kept: it follows from the containers' definitions.

mod api;
mod browse;
mod fill;
mod keep;
mod mount;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use proa_kernel::remove::remove_tree;
use proa_protocol::TextMap;
use serde::{Deserialize, Serialize};

pub use browse::BrowseOptions;
pub(crate) use fill::fill;
pub use keep::{Backup, RestoreOptions};

use crate::{
    Error, Result, clock,
    db::{Change, Db},
    error::Context,
    id,
};

/// What is kept of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name; 64 hex digits if it was given none.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// The user's labels.
    pub labels: TextMap,
    /// The `local` driver's options: `type`, `device`, `o`.
    pub options: TextMap,
    /// Made without a name; goes with its container if that is asked for.
    pub anonymous: bool,
}

/// What to make.
#[derive(Clone, Debug, Default)]
pub struct NewVolume {
    /// A name, or none.
    pub name: Option<String>,
    /// Empty or `local`.
    pub driver: String,
    /// The user's labels.
    pub labels: TextMap,
    /// The driver's options.
    pub options: TextMap,
}

/// Every volume.
pub struct Volumes {
    folder: PathBuf,
    db: Db,
    records: Mutex<BTreeMap<String, Record>>,
}

/// What a label says of a volume that was made without a name.
const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

impl Volumes {
    /// Takes over what was kept.
    pub(crate) fn open(folder: PathBuf, db: Db, stored: &[String]) -> Result<Self> {
        fs::create_dir_all(&folder).context(|| format!("make {}", folder.display()))?;
        let mut records = BTreeMap::new();
        for text in stored {
            let record: Record =
                serde_json::from_str(text).context(|| "read a volume's record".into())?;
            records.insert(record.name.clone(), record);
        }
        sweep(&folder, &records);
        Ok(Volumes {
            folder,
            db,
            records: Mutex::new(records),
        })
    }

    /// Makes a volume, or finds the one of that name (`false`: it was there).
    pub async fn create(&self, new: NewVolume) -> Result<(Record, bool)> {
        check_driver(&new)?;
        if let Some(name) = &new.name {
            check_name(name)?;
            if let Some(record) = self.lock().get(name) {
                return Ok((record.clone(), false));
            }
        }
        let record = record_of(new)?;
        let data = self.mountpoint(&record.name);
        fs::create_dir_all(&data).context(|| format!("make {}", data.display()))?;
        let text = serde_json::to_string(&record)
            .context(|| format!("write down volume {}", record.name))?;
        self.db
            .commit(Change::Volume {
                name: record.name.clone(),
                record: text,
            })
            .await?;
        self.lock().insert(record.name.clone(), record.clone());
        Ok((record, true))
    }

    /// One volume.
    pub fn find(&self, name: &str) -> Result<Record> {
        self.lock()
            .get(name)
            .cloned()
            .ok_or_else(|| Error::not_found(format!("get {name}: no such volume")))
    }

    /// Every volume, by name.
    pub fn list(&self) -> Vec<Record> {
        self.lock().values().cloned().collect()
    }

    /// Where its files are.
    pub fn mountpoint(&self, name: &str) -> PathBuf {
        self.folder.join(name).join("_data")
    }

    /// Takes a volume away. Whether it is in use is the caller's to know.
    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        self.find(name)?;
        // First: what is mounted there is not the volume's to be removed.
        mount::unmount(&self.mountpoint(name))?;
        self.db
            .commit(Change::VolumeGone {
                name: name.to_owned(),
            })
            .await?;
        self.lock().remove(name);
        let folder = self.folder.join(name);
        let removal = folder.clone();
        tokio::task::spawn_blocking(move || remove_tree(&removal))
            .await
            .context(|| format!("remove {}", folder.display()))?
            .context(|| format!("remove {}", folder.display()))
    }

    /// A new folder beside the volumes; what a crash leaves of it is swept at the next start.
    pub(super) fn scratch(&self) -> Result<PathBuf> {
        let name = id::random_hex().context(|| "name a folder".into())?;
        let folder = self.folder.join(format!(".{name}"));
        fs::create_dir(&folder).context(|| format!("make {}", folder.display()))?;
        Ok(folder)
    }

    /// Makes what the options ask for visible at its folder, before a container uses it.
    pub(crate) fn make_ready(&self, name: &str) -> Result<PathBuf> {
        let record = self.find(name)?;
        let data = self.mountpoint(name);
        mount::mount(&record, &data)?;
        Ok(data)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record_of(new: NewVolume) -> Result<Record> {
    let anonymous = new.name.is_none();
    let name = match new.name {
        Some(name) => name,
        None => id::random_hex().context(|| "name a volume".into())?,
    };
    let mut labels = new.labels;
    if anonymous {
        labels.insert(ANONYMOUS_LABEL.to_owned(), String::new());
    }
    Ok(Record {
        name,
        created: clock::now(),
        labels,
        options: new.options,
        anonymous,
    })
}

fn check_driver(new: &NewVolume) -> Result<()> {
    if !matches!(new.driver.as_str(), "" | "local") {
        let name = new.name.as_deref().unwrap_or_default();
        let driver = &new.driver;
        return Err(Error::not_found(format!(
            "create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found"
        )));
    }
    let name = new.name.as_deref().unwrap_or_default();
    mount::check(name, &new.options)
}

fn check_name(name: &str) -> Result<()> {
    if name.len() == 1 {
        return Err(Error::bad(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
    crate::spec::request::check_name(name).map_err(|error| Error::bad(error.to_string()))
}

/// Folders without a record: a crash came between.
fn sweep(folder: &Path, records: &BTreeMap<String, Record>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let known = entry
            .file_name()
            .to_str()
            .is_some_and(|name| records.contains_key(name));
        if known {
            continue;
        }
        if let Err(error) = mount::unmount(&entry.path().join("_data")) {
            tracing::warn!(error = error.told(), "sweeping a volume's leftovers failed");
            continue;
        }
        if let Err(error) = remove_tree(&entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "sweeping a volume's leftovers failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_volume_is_found_again_until_it_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let (db, _) = Db::open(&dir.path().join("state.db")).unwrap();
        let volumes = Volumes::open(dir.path().join("volumes"), db, &[]).unwrap();
        let new = || NewVolume {
            name: Some("data".into()),
            ..NewVolume::default()
        };
        assert!(volumes.create(new()).await.unwrap().1);
        assert!(!volumes.create(new()).await.unwrap().1);
        let (anonymous, _) = volumes.create(NewVolume::default()).await.unwrap();
        assert!(anonymous.anonymous && anonymous.labels.contains_key(ANONYMOUS_LABEL));

        let (db, stored) = Db::open(&dir.path().join("state.db")).unwrap();
        fs::create_dir_all(dir.path().join("volumes/left/_data")).unwrap();
        let volumes = Volumes::open(dir.path().join("volumes"), db, &stored.volumes).unwrap();
        assert!(!dir.path().join("volumes/left").exists());
        volumes.delete("data").await.unwrap();
        assert_eq!(
            volumes.find("data").unwrap_err().told(),
            "get data: no such volume"
        );
        assert_eq!(volumes.list().len(), 1);
    }
}
