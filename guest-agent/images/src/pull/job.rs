//! One layer on its way here. However many pulls want it, it is fetched once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::digest::DiffId;
use crate::documents::Descriptor;
use crate::error::{At, Error};
use crate::layer::{Expected, Feed, intake};
use crate::registry::{Session, Sink};
use crate::store::{BlobRow, Store};

/// How far a layer is.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    Waiting,
    Downloading(Arc<Counted>),
    Extracting(Arc<Counted>),
    Done,
    Failed(Arc<Error>),
}

/// A layer's counters.
#[derive(Debug)]
pub(crate) struct Counted {
    done: AtomicU64,
    unpacked: Arc<AtomicU64>,
    pub(crate) total: u64,
}

impl Counted {
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(crate) fn unpacked(&self) -> u64 {
        self.unpacked.load(Ordering::Relaxed)
    }
}

/// A layer being fetched; stops when the last one who wants it lets go.
pub(crate) struct Job {
    stage: watch::Receiver<Stage>,
    task: AbortHandle,
}

impl Job {
    pub(crate) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.clone()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The layers being fetched.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<HashMap<DiffId, Weak<Job>>>);

impl Jobs {
    /// Joins the job for a layer, or starts it; says also whether it was started.
    pub(crate) fn join_or_start<F>(
        &self,
        diff: &DiffId,
        work: impl FnOnce(watch::Sender<Stage>) -> F,
    ) -> (Arc<Job>, bool)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = jobs.get(diff).and_then(Weak::upgrade);
        if let Some(job) = running.filter(|job| !matches!(*job.stage.borrow(), Stage::Failed(_))) {
            return (job, false);
        }
        jobs.retain(|_, job| job.strong_count() > 0);
        let (tell, stage) = watch::channel(Stage::Waiting);
        let task = tokio::spawn(work(tell)).abort_handle();
        let job = Arc::new(Job { stage, task });
        jobs.insert(diff.clone(), Arc::downgrade(&job));
        (job, true)
    }
}

/// Fetches, unpacks and adopts a layer, and tells its stages.
pub(crate) async fn fetch(
    store: &Store,
    session: &Session,
    descriptor: &Descriptor,
    diff: &DiffId,
    blob: BlobRow,
    stage: &watch::Sender<Stage>,
) {
    let outcome = bring(store, session, descriptor, diff, blob, stage).await;
    stage.send_replace(match outcome {
        Ok(()) => Stage::Done,
        Err(error) => Stage::Failed(Arc::new(error)),
    });
}

async fn bring(
    store: &Store,
    session: &Session,
    descriptor: &Descriptor,
    diff: &DiffId,
    blob: BlobRow,
    stage: &watch::Sender<Stage>,
) -> Result<(), Error> {
    let stopped = || Error::Interrupted("the store is closing".into());
    let permit = store.0.permits.acquire().await.map_err(|_| stopped())?;
    // Another job may have brought it between the look and the start of this one.
    if store.has_layer(diff) {
        return Ok(());
    }
    let expected = Expected {
        blob: Some(descriptor.digest.clone()),
        diff: Some(diff.clone()),
    };
    let incoming = store.incoming();
    let (feed, intake) = intake(&incoming, expected).at("create a folder in", incoming)?;
    let counted = Arc::new(Counted {
        done: AtomicU64::new(0),
        unpacked: intake.consumed(),
        total: descriptor.size,
    });
    stage.send_replace(Stage::Downloading(Arc::clone(&counted)));
    let mut sink = Feeding { feed };
    let transfer = session.blob(descriptor, &mut sink, &counted.done).await;
    drop(permit);
    match transfer {
        // If the other side stopped listening, its outcome says why.
        Ok(()) => drop(sink.feed.end().await),
        Err(error) => return Err(error.into()),
    }
    stage.send_replace(Stage::Extracting(counted));
    let received = intake.outcome().await?;
    let store = store.clone();
    let adopted = tokio::task::spawn_blocking(move || store.adopt(received, Some(blob)));
    adopted
        .await
        .map_err(|error| Error::Interrupted(error.to_string()))?
        .map(drop)
}

struct Feeding {
    feed: Feed,
}

impl Sink for Feeding {
    async fn take(&mut self, bytes: Bytes) -> bool {
        self.feed.send(bytes).await.is_ok()
    }
}
