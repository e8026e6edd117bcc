//! `backup`, `restore`, `clone`: a volume as it was at one moment.
//!
//! What is taken is a copy beside the volume, made while the containers that use it stand still: its blocks are shared
//! where the file system can, so that they do for an instant. The stream is made of the copy. A restore is unpacked
//! beside the volume too and takes its place at the end: either all of it is there, or nothing has changed.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use proa_images::files::{self, PackOptions, UnpackOptions};
use proa_kernel::{remove::remove_tree, tree};
use proa_protocol::Volume;

use super::{NewVolume, Record};
use crate::{Container, Engine, Error, Kind, Result, container::state::State, error::Context};

/// A copy of a volume's files, to be written as a stream. Gone when it is dropped.
pub struct Backup {
    folder: PathBuf,
}

/// How to put a stream into a volume.
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreOptions {
    /// What is in it goes away.
    pub replace: bool,
}

impl Backup {
    /// Writes the files as a tar compressed with zstd. Blocks.
    pub fn write(&self, to: impl Write) -> std::io::Result<()> {
        let options = PackOptions {
            sparse: true,
            acls: true,
            ..PackOptions::default()
        };
        let encoder = files::compressed(to)?;
        let top = File::open(self.folder.join(COPY))?;
        files::pack(top, b".", options, encoder)?.finish().map(drop)
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.folder) {
            tracing::warn!(path = %self.folder.display(), %error, "removing a copy of a volume failed");
        }
    }
}

/// The files in a folder beside the volumes.
const COPY: &str = "_data";

impl Engine {
    /// `GET /proa/v1/volumes/{name}/backup`. `still`: the containers that use it are paused while it is copied.
    pub async fn volume_backup(&self, name: &str, still: bool) -> Result<Backup> {
        let data = self.volumes.make_ready(name)?;
        let folder = self.volumes.scratch()?;
        let backup = Backup { folder };
        let to = backup.folder.join(COPY);
        self.copied(name, &data, &to, still).await?;
        Ok(backup)
    }

    /// `POST /proa/v1/volumes/{name}/clone`
    pub async fn volume_clone(&self, name: &str, to: &str, still: bool) -> Result<Volume> {
        let record = self.volumes.find(name)?;
        let data = self.volumes.make_ready(name)?;
        if self.volumes.find(to).is_ok() {
            return Err(Error::conflict(format!(
                "clone {name}: volume {to} already exists"
            )));
        }
        let folder = self.volumes.scratch()?;
        let copy = Backup { folder };
        self.copied(name, &data, &copy.folder.join(COPY), still)
            .await?;
        let new = NewVolume {
            name: Some(to.to_owned()),
            labels: record.labels,
            ..NewVolume::default()
        };
        let made = self.new_volume(new).await?;
        self.put_in_place(&copy, to)?;
        Ok(self.volume_document(&made))
    }

    /// `PUT /proa/v1/volumes/{name}/restore`: where the stream is unpacked to, before it is looked at.
    pub fn volume_restore_begin(&self, name: &str, options: RestoreOptions) -> Result<Backup> {
        if self.volumes.find(name).is_ok() {
            self.may_be_replaced(name, options)?;
        } else {
            super::check_name(name)?;
        }
        let folder = self.volumes.scratch()?;
        let copy = Backup { folder };
        let place = copy.folder.join(COPY);
        fs::create_dir(&place).context(|| format!("make {}", place.display()))?;
        Ok(copy)
    }

    /// The stream was unpacked: it takes its place. A volume that is not there is made.
    pub async fn volume_restore_end(
        &self,
        name: &str,
        copy: Backup,
        options: RestoreOptions,
    ) -> Result<Volume> {
        let record = match self.volumes.find(name) {
            Ok(record) => {
                self.may_be_replaced(name, options)?;
                record
            }
            Err(_) => {
                let new = NewVolume {
                    name: Some(name.to_owned()),
                    ..NewVolume::default()
                };
                self.new_volume(new).await?
            }
        };
        self.put_in_place(&copy, name)?;
        Ok(self.volume_document(&record))
    }

    async fn new_volume(&self, new: NewVolume) -> Result<Record> {
        let (record, is_new) = self.volumes.create(new).await?;
        if is_new {
            self.tell_volume("create", &record.name);
        }
        Ok(record)
    }

    /// A live container has the folder mounted that is to go.
    fn may_be_replaced(&self, name: &str, options: RestoreOptions) -> Result<()> {
        let record = self.volumes.find(name)?;
        if !record.options.is_empty() {
            return Err(Error::bad(format!(
                "restore {name}: its files are elsewhere: it has options of the driver"
            )));
        }
        let live: Vec<_> = self
            .live_users(name)
            .iter()
            .map(|user| user.id().to_string())
            .collect();
        if !live.is_empty() {
            return Err(Error::conflict(format!(
                "restore {name}: volume is in use by running containers - [{}]; stop them first",
                live.join(", ")
            )));
        }
        let data = self.volumes.mountpoint(name);
        let mut entries = fs::read_dir(&data).context(|| format!("look into volume {name}"))?;
        if !options.replace && entries.next().is_some() {
            return Err(Error::conflict(format!(
                "restore {name}: volume is not empty; ask for what is in it to be replaced"
            )));
        }
        Ok(())
    }

    fn live_users(&self, volume: &str) -> Vec<Container> {
        let mut users = self.containers.all();
        users.retain(|user| {
            let seen = user.seen();
            let uses = seen.definition.volumes().any(|(name, _)| name == volume);
            uses && seen.state.live().is_some()
        });
        users
    }

    /// Exchanges the volume's folder for the copy; what was in it goes with the copy's folder.
    fn put_in_place(&self, copy: &Backup, name: &str) -> Result<()> {
        let data = self.volumes.mountpoint(name);
        let swap = rustix::fs::RenameFlags::EXCHANGE;
        let cwd = rustix::fs::CWD;
        rustix::fs::renameat_with(cwd, copy.folder.join(COPY), cwd, &data, swap)
            .context(|| format!("put the files of volume {name} in their place"))
    }

    /// Copies a volume's files while nobody changes them.
    async fn copied(&self, name: &str, from: &Path, to: &Path, still: bool) -> Result<()> {
        let mut paused = Vec::new();
        for user in self.live_users(name) {
            if still && matches!(user.seen().state, State::Running(_)) && user.pause().await.is_ok()
            {
                paused.push(user);
            }
        }
        let (source, target) = (from.to_owned(), to.to_owned());
        let copied = tokio::task::spawn_blocking(move || copy(&source, &target)).await;
        for user in paused {
            if let Err(error) = user.unpause().await {
                tracing::warn!(id = %user.id(), error = error.told(), "going on after a copy failed");
            }
        }
        let attempt = || format!("copy the files of volume {name}");
        copied.context(attempt)?.context(attempt)
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    tree::copy_tree(File::open(from)?, File::open(to)?, &|uid, gid| (uid, gid))
}

impl Backup {
    /// Unpacks a stream, compressed or not, to take a volume's place. Blocks.
    pub fn read(&self, from: impl Read) -> Result<()> {
        let attempt = || "open the place to restore to".to_owned();
        let place = File::open(self.folder.join(COPY)).context(attempt)?;
        let options = UnpackOptions {
            place: "/".into(),
            top: true,
            ..UnpackOptions::default()
        };
        files::unpack(from, place.as_fd(), &options).map_err(|error| {
            let kind = if error.is_senders_fault() {
                Kind::BadParameter
            } else {
                Kind::Internal
            };
            Error::new(kind, format!("restore: {error}"))
        })
    }
}
