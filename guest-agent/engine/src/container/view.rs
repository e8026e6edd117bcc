//! A container's files, opened: by `archive`, `export` and `commit`, while it runs and when it does not.
//!
//! A live container's are seen through its own mount namespace, those of one that does not run in a namespace made for
//! that, with its volumes and binds in it. As long as either is open, the container's upper directory is mounted: a
//! start and a removal wait for that to end, and after a while end it themselves.

use std::{
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use proa_kernel::{mount, resolve};
use proa_runtime::{
    init,
    plan::{IdMap, IdMaps, Layers},
    view::{Placed, View},
};
use rustix::fs::{Mode, OFlags};
use tokio::{sync::watch, time::timeout};

use super::{
    Container,
    definition::Definition,
    launch, mounts,
    start::LEAVING,
    state::State,
    task::{Request, Task},
};
use crate::{
    Engine, Error, Kind, Result,
    error::Context,
    spec::{MountPoint, Origin},
};

/// How long the end of a container takes to be known here.
const ENDING: Duration = Duration::from_secs(2);

/// What is to be done with the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Looked at, with everything that is mounted in the container.
    Read,
    /// Written to as well.
    Write,
    /// The root alone is looked at: what is mounted in it is not part of it.
    Alone,
}

/// All that is open of one container.
#[derive(Debug)]
pub(crate) struct Views {
    open: watch::Sender<usize>,
    /// Counts up when everybody is to let go.
    revoked: watch::Sender<u64>,
}

/// A container's files, open until this is dropped.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The root. Goes first: then nothing is mounted any more.
    pub(crate) view: View,
    revoked: watch::Receiver<u64>,
    _lease: Lease,
}

#[derive(Debug)]
struct Lease(Arc<Views>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

impl Opened {
    /// Resolves when whoever has it is to let go.
    pub(crate) fn revoked(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut revoked = self.revoked.clone();
        async move {
            // The sender lives as long as what is open.
            let _ = revoked.changed().await;
        }
    }
}

impl Views {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Views {
            open: watch::Sender::new(0),
            revoked: watch::Sender::new(0),
        })
    }

    fn opened(self: &Arc<Self>, open: impl FnOnce() -> Result<View>) -> Result<Arc<Opened>> {
        self.open.send_modify(|open| *open += 1);
        let lease = Lease(Arc::clone(self));
        Ok(Arc::new(Opened {
            view: open()?,
            revoked: self.revoked.subscribe(),
            _lease: lease,
        }))
    }

    /// Waits until nothing is open; after `patience` whoever has something open is made to let go.
    async fn clear(&self, patience: Duration) -> bool {
        let mut open = self.open.subscribe();
        if timeout(patience, open.wait_for(|open| *open == 0))
            .await
            .is_ok()
        {
            return true;
        }
        self.revoked.send_modify(|revoked| *revoked += 1);
        timeout(LEAVING, open.wait_for(|open| *open == 0))
            .await
            .is_ok()
    }
}

impl Container {
    /// Opens its files.
    pub(crate) async fn open(&self, purpose: Purpose) -> Result<Arc<Opened>> {
        let mut seen = self.line.published.clone();
        seen.mark_unchanged();
        match self.ask(|answer| Request::Open { purpose, answer }).await {
            // It ends just now: its files are found at rest as soon as that is known.
            Err(error) if error.kind() == Kind::Internal => {
                if timeout(ENDING, seen.changed()).await.is_err() {
                    return Err(error);
                }
                self.ask(|answer| Request::Open { purpose, answer }).await
            }
            other => other,
        }
    }
}

impl Task {
    pub(super) async fn open(
        &mut self,
        engine: &Arc<Engine>,
        purpose: Purpose,
    ) -> Result<Arc<Opened>> {
        if matches!(self.state, State::Removing(_)) {
            return Err(Error::conflict(format!(
                "container {} is marked for removal and its files cannot be opened",
                self.id()
            )));
        }
        if let Some(running) = self.state.live() {
            let (pid, group) = (running.pid, self.id());
            let open = || {
                View::of_process(pid, group, purpose == Purpose::Alone)
                    .context(|| format!("open the files of container {group}"))
            };
            return tokio::task::block_in_place(|| self.views.opened(open));
        }
        self.must_be_in_reach(engine)?;
        self.wait_for_the_last_run().await;
        if let Some(opened) = self
            .writable
            .upgrade()
            .filter(|_| purpose != Purpose::Alone)
        {
            return Ok(opened);
        }
        let definition = Arc::clone(&self.definition);
        let open = || at_rest(engine, &definition, purpose);
        let opened = tokio::task::block_in_place(|| self.views.opened(open))?;
        if purpose == Purpose::Write {
            self.writable = Arc::downgrade(&opened);
        }
        Ok(opened)
    }

    /// Before its root is mounted anew, or taken away.
    pub(super) async fn close_views(&mut self, patience: Duration) {
        self.writable = Weak::new();
        if !self.views.clear(patience).await {
            tracing::warn!(
                id = self.id(),
                "whoever copies its files does not let go of them"
            );
        }
    }
}

/// The files of a container that does not run.
fn at_rest(engine: &Engine, definition: &Definition, purpose: Purpose) -> Result<View> {
    let attempt = || format!("mount the root of container {}", definition.id);
    let overlay = launch::overlay(engine, definition);
    let maps = definition.ids.map(|range| {
        let map = IdMap {
            inside: 0,
            outside: range.first,
            length: range.size,
        };
        IdMaps {
            uids: vec![map],
            gids: vec![map],
        }
    });
    let placed = match purpose {
        Purpose::Alone => Vec::new(),
        Purpose::Read | Purpose::Write => placed(engine, definition)?,
    };
    // What is only looked at needs no upper directory of its own, unless a place to mount at is missing in it.
    if purpose != Purpose::Write && maps.is_none() {
        let stack: Vec<PathBuf> = [overlay.upper.clone()]
            .into_iter()
            .chain(overlay.lowers.iter().cloned())
            .collect();
        let shown = init::show_layers(&stack).context(attempt)?;
        let there = |placed: &Placed| resolve::locate(&shown, &placed.target).is_ok();
        if placed.is_empty() {
            return Ok(View::of_root(shown));
        }
        if placed.iter().all(there) {
            return View::assemble(shown, &placed).context(attempt);
        }
    }
    let root = init::writable_root(&overlay, maps.as_ref()).context(attempt)?;
    View::assemble(root, &placed).context(attempt)
}

/// Its volumes, binds and images as mounts, the outermost first.
fn placed(engine: &Engine, definition: &Definition) -> Result<Vec<Placed>> {
    let mut placed = Vec::new();
    for point in mounts::ready(engine, definition)? {
        let found = mount_of(&point);
        if let Some(mount) =
            found.context(|| format!("open what is mounted at {}", point.destination))?
        {
            placed.push(Placed {
                mount,
                target: PathBuf::from(&point.destination),
                read_only: point.read_only,
                owner: definition.ids.map_or((0, 0), |ids| (ids.first, ids.first)),
            });
        }
    }
    placed.sort_by_key(|placed| placed.target.components().count());
    Ok(placed)
}

/// Memory is there only while it runs.
fn mount_of(point: &MountPoint) -> std::io::Result<Option<OwnedFd>> {
    match &point.origin {
        Origin::Path {
            source,
            beneath,
            recursive,
            ..
        } => {
            let Some(beneath) = beneath else {
                return mount::clone_path(source, *recursive).map(Some);
            };
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = rustix::fs::open(source, flags, Mode::empty())?;
            let found = resolve::open_plain(root, beneath.as_str(), OFlags::PATH)?;
            mount::clone_tree(found, c"", *recursive).map(Some)
        }
        Origin::Layers(Layers { lowers, beneath }) => init::show(&Layers {
            lowers: lowers.clone(),
            beneath: beneath.clone(),
        })
        .map(Some),
        Origin::Tmpfs { .. } => Ok(None),
    }
}
