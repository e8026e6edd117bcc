//! Opening the store: what an interrupted run left is thrown away.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::fs::{FlockOperation, IFlags, Mode, OFlags};
use tokio::sync::Semaphore;

use super::index::{self, ImageRow, Index, LayerRow};
use super::state::{Known, State, blob_path, layer_dir, record};
use super::{Inner, Settings, Store, sync};
use crate::digest::{DiffId, Digest};
use crate::error::{At, Error};
use crate::pull::Jobs;
use crate::registry::Endpoints;

impl Store {
    /// Opens the store beneath `root`, making it if need be. What an interrupted pull left half done, and what an
    /// unclean boot may have damaged, is thrown away.
    pub fn open(root: &Path, settings: Settings) -> Result<Self, Error> {
        for folder in [
            "blobs/sha256",
            "layers",
            "fixups",
            "incoming",
            "trash",
            "empty",
        ] {
            let path = root.join(folder);
            fs::create_dir_all(&path).at("create", path)?;
        }
        let root = root.canonicalize().at("open", root)?;
        let lock = lock(&root)?;
        spread(&root.join("incoming"));
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned();
        discard_half_made(&root)?;
        let index = Index::open(&root.join("images.db"))?;
        let state = load(&root, &boot, index)?;
        let permits = Semaphore::new(settings.parallel.max(1));
        let store = Self(Arc::new(Inner {
            root,
            settings,
            endpoints: Endpoints::default(),
            boot,
            state: Mutex::new(state),
            jobs: Jobs::default(),
            permits,
            sync: sync::Syncing::default(),
            _lock: lock,
        }));
        store.empty_trash();
        store.sync_soon();
        Ok(store)
    }
}

fn lock(root: &Path) -> Result<fs::File, Error> {
    let path = root.join("lock");
    let file = fs::File::create(&path).at("open", &path)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .at("lock (is another engine using it?)", &path)?;
    Ok(file)
}

/// Asks ext4 to begin each folder made here in a part of the disk of its own (`T` in chattr(1)). Layers are unpacked at
/// once, and without a journal every new file looks at all inodes of its part that were freed in the last minutes.
fn spread(folder: &Path) {
    let asked = rustix::fs::open(folder, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).and_then(
        |open| {
            let flags = rustix::fs::ioctl_getflags(&open)?;
            rustix::fs::ioctl_setflags(&open, flags | IFlags::TOPDIR)
        },
    );
    // Other file systems have no such flag, and their own ways.
    if let Err(error) = asked {
        tracing::debug!(%error, "the file system spreads layers as it likes");
    }
}

fn discard_half_made(root: &Path) -> Result<(), Error> {
    let incoming = root.join("incoming");
    let entries = fs::read_dir(&incoming).at("read", &incoming)?;
    for entry in entries.filter_map(Result::ok) {
        let to = root.join("trash").join(entry.file_name());
        fs::rename(entry.path(), &to).at("discard", entry.path())?;
    }
    Ok(())
}

/// Reads the index and drops what cannot be trusted.
fn load(root: &Path, boot: &str, mut index: Index) -> Result<State, Error> {
    let unsynced =
        |written: &Option<String>| written.as_ref().is_some_and(|written| written != boot);
    let (mut layers, mut lost) = (HashMap::new(), Vec::new());
    for row in index.layers()? {
        if unsynced(&row.boot) || !layer_dir(root, &row.diff).join("fs").is_dir() {
            lost.push(row.diff);
        } else {
            layers.insert(row.diff.clone(), row);
        }
    }
    let (mut images, mut broken) = (HashMap::new(), Vec::new());
    for row in index.images()? {
        match read_image(root, &row, &layers).filter(|_| !unsynced(&row.boot)) {
            Some(known) => drop(images.insert(row.id.clone(), known)),
            None => broken.push(row.id),
        }
    }
    if !lost.is_empty() || !broken.is_empty() {
        tracing::warn!(
            ?lost,
            ?broken,
            "discarding content that did not reach the disk"
        );
        forget(&mut index, &lost, &broken)?;
        for diff in &lost {
            drop(fs::rename(
                layer_dir(root, diff),
                root.join("trash").join(diff.0.hex()),
            ));
        }
    }
    let tags: BTreeMap<_, _> = index
        .tags()?
        .into_iter()
        .map(|(name, tag, image)| ((name, tag), image))
        .collect();
    let digests = index
        .digests()?
        .into_iter()
        .map(|(name, digest, image)| ((name, digest), image))
        .collect();
    Ok(State {
        index,
        images,
        tags,
        digests,
        layers,
        leases: HashMap::new(),
        holds: HashMap::new(),
    })
}

fn forget(index: &mut Index, lost: &[DiffId], broken: &[Digest]) -> Result<(), Error> {
    index.change("forget lost content", |db| {
        lost.iter()
            .try_for_each(|diff| index::drop_layer(db, diff))?;
        broken
            .iter()
            .try_for_each(|image| index::drop_image(db, image))
    })
}

/// An image whose documents and layers are all there.
fn read_image(root: &Path, row: &ImageRow, layers: &HashMap<DiffId, LayerRow>) -> Option<Known> {
    let raw = fs::read(blob_path(root, &row.id))
        .ok()
        .filter(|raw| Digest::of(raw) == row.id)?;
    let record = record(root, row, raw, layers).ok()?;
    let complete = record
        .config
        .rootfs
        .diff_ids
        .iter()
        .all(|diff| layers.contains_key(diff))
        && record.lowers.iter().all(|lower| lower.is_dir());
    complete.then(|| Known {
        record: Arc::new(record),
        row: row.clone(),
    })
}
