//! Pulling: every layer of an image at once, each shared with whoever else wants it.

mod job;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub(crate) use job::Jobs;
use job::{Job, Stage};

use crate::digest::DiffId;
use crate::documents::{Descriptor, ImageConfig};
use crate::error::Error;
use crate::image::Pulled;
use crate::platform::Platform;
use crate::progress::Progress;
use crate::reference::Reference;
use crate::registry::{Chosen, Credentials, RegistryError, Session};
use crate::store::{BlobRow, NewRecord, Store};

/// Configurations are small; larger ones are an attack or a mistake.
const MAX_CONFIG: usize = 16 << 20;
/// Progress of one layer is told this often at most.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// One layer of the image being pulled.
struct Wanted {
    diff: DiffId,
    descriptor: Descriptor,
}

impl Store {
    /// Fetches an image. Dropping the future stops it; layers that are whole by then are there for the next try. The
    /// line that names the image (`Pulling from …`) is the caller's, to be told before the first of ours.
    pub async fn pull(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        credentials: Option<&Credentials>,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Pulled, Error> {
        let reference = reference.clone().or_latest();
        let host = Platform::host();
        let (session, chosen) = self
            .locate(
                &reference,
                platform.unwrap_or(&host),
                platform.is_some(),
                credentials,
            )
            .await?;
        let session = Arc::new(session);
        let raw = session
            .small_blob(&chosen.manifest.config, MAX_CONFIG)
            .await?;
        let wanted = wanted(&reference, &chosen, &raw)?;
        let diffs: Vec<DiffId> = wanted.iter().map(|layer| layer.diff.clone()).collect();
        let _lease = self.lease(&diffs);
        let layers = wanted
            .iter()
            .map(|layer| self.layer(&session, layer, &progress));
        futures_util::future::try_join_all(layers).await?;
        self.finish(&reference, chosen, raw, &progress).await
    }

    /// The first place that has the image, and its manifest for the platform.
    async fn locate(
        &self,
        reference: &Reference,
        platform: &Platform,
        strict: bool,
        credentials: Option<&Credentials>,
    ) -> Result<(Session, Chosen), Error> {
        let places = self
            .0
            .endpoints
            .of(&self.0.settings, reference.domain(), true)
            .await?;
        let mut failure = None;
        for access in places {
            let mirror = access.mirror;
            let session = Session::new(access, reference.clone(), credentials, "pull");
            match session.choose(platform, strict).await {
                Ok(chosen) => return Ok((session, chosen)),
                Err(error) if mirror => {
                    tracing::warn!(%error, "the mirror cannot serve the image, trying the next place");
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure
            .unwrap_or_else(|| RegistryError::NoImage(format!("nobody serves {reference}")))
            .into())
    }

    /// Records the image, and says what became of it.
    async fn finish(
        &self,
        reference: &Reference,
        chosen: Chosen,
        raw: Vec<u8>,
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<Pulled, Error> {
        let mut names = vec![reference.with_digest(chosen.named.clone())];
        if reference.digest().is_none() {
            names.push(reference.clone());
        }
        let store = self.clone();
        let recorded = tokio::task::spawn_blocking(move || {
            store.record(&NewRecord {
                config: &raw,
                manifest: Some(&chosen.bytes),
                parent: None,
                names: &names,
            })
        });
        let (image, newer) = recorded
            .await
            .map_err(|error| Error::Interrupted(error.to_string()))??;
        progress(Progress::line(format!("Digest: {}", chosen.named)));
        let what = if newer {
            "Downloaded newer image for"
        } else {
            "Image is up to date for"
        };
        progress(Progress::line(format!(
            "Status: {what} {}",
            reference.familiar()
        )));
        Ok(Pulled {
            image,
            digest: chosen.named,
            newer,
        })
    }

    /// Brings one layer here, or waits for whoever is bringing it.
    async fn layer(
        &self,
        session: &Arc<Session>,
        layer: &Wanted,
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<(), Error> {
        let id = layer.descriptor.digest.short();
        if self.has_layer(&layer.diff) {
            progress(Progress::about(id, "Already exists"));
            let blob = blob_row(session, layer);
            return self.remember_blob(&blob);
        }
        progress(Progress::about(id, "Pulling fs layer"));
        loop {
            let (job, mine) = self.job(session, layer);
            match watch_job(&job, id, progress).await {
                Ok(()) => return Ok(()),
                // Somebody else's attempt failed, perhaps for a reason of their own: make our own.
                Err(error) if !mine => {
                    tracing::debug!(%error, layer = id, "a shared download failed, starting another");
                }
                Err(error) => return Err(Error::Shared(error)),
            }
        }
    }

    fn job(&self, session: &Arc<Session>, layer: &Wanted) -> (Arc<Job>, bool) {
        let (store, session, descriptor) =
            (self.clone(), Arc::clone(session), layer.descriptor.clone());
        let blob = blob_row(&session, layer);
        self.0.jobs.join_or_start(&layer.diff, |stage| {
            let diff = layer.diff.clone();
            async move { job::fetch(&store, &session, &descriptor, &diff, blob, &stage).await }
        })
    }
}

fn blob_row(session: &Session, layer: &Wanted) -> BlobRow {
    BlobRow {
        diff: layer.diff.clone(),
        digest: layer.descriptor.digest.clone(),
        size: layer.descriptor.size,
        media_type: layer.descriptor.media_type.clone(),
        name: session.reference.name(),
    }
}

/// The layers that a manifest and its configuration name, matched.
fn wanted(reference: &Reference, chosen: &Chosen, raw: &[u8]) -> Result<Vec<Wanted>, Error> {
    let no_image = |why: String| Error::from(RegistryError::NoImage(why));
    let config: ImageConfig = serde_json::from_slice(raw).map_err(|error| {
        no_image(format!(
            "{reference} is no container image: its configuration is malformed: {error}"
        ))
    })?;
    let layers = &chosen.manifest.layers;
    let diffs = config.rootfs.diff_ids;
    if layers.len() != diffs.len() {
        return Err(no_image(format!(
            "{reference} is no container image: its manifest has {} layers, its configuration {}",
            layers.len(),
            diffs.len()
        )));
    }
    if !config.os.is_empty() && config.os != "linux" {
        return Err(no_image(format!(
            "image operating system {:?} cannot be used on this platform",
            config.os
        )));
    }
    let pairs = diffs.into_iter().zip(layers.iter().cloned());
    Ok(pairs
        .map(|(diff, descriptor)| Wanted { diff, descriptor })
        .collect())
}

/// Tells how a layer gets on until it is there.
async fn watch_job(
    job: &Job,
    id: &str,
    progress: &(impl Fn(Progress) + Send + Sync),
) -> Result<(), Arc<Error>> {
    let mut stage = job.stage();
    let mut told = Told::default();
    loop {
        let now = stage.borrow_and_update().clone();
        told.tell(id, &now, progress);
        match now {
            Stage::Done => return Ok(()),
            Stage::Failed(error) => return Err(error),
            _ => {}
        }
        next(&mut stage).await?;
    }
}

/// Waits for a new stage, or for the time to look at the counters again.
async fn next(stage: &mut watch::Receiver<Stage>) -> Result<(), Arc<Error>> {
    match tokio::time::timeout(TELL_EVERY, stage.changed()).await {
        Ok(Err(_)) => Err(Arc::new(Error::Interrupted(
            "the download was stopped".into(),
        ))),
        _ => Ok(()),
    }
}

/// What has been told of a layer; each line comes once, and counters only when they moved.
#[derive(Default)]
struct Told {
    downloaded: bool,
    last: Option<(bool, u64)>,
}

impl Told {
    fn tell(&mut self, id: &str, stage: &Stage, progress: &(impl Fn(Progress) + Send + Sync)) {
        match stage {
            Stage::Waiting => {
                if self.last.is_none() {
                    progress(Progress::about(id, "Waiting"));
                    self.last = Some((false, 0));
                }
            }
            Stage::Downloading(counted) => {
                let current = counted.done();
                if current > 0 && self.last != Some((false, current)) {
                    progress(Progress::about(id, "Downloading").at(current, counted.total));
                    self.last = Some((false, current));
                }
            }
            Stage::Extracting(counted) => {
                self.downloaded(id, progress);
                let current = counted.unpacked();
                if self.last != Some((true, current)) {
                    progress(Progress::about(id, "Extracting").at(current, counted.total));
                    self.last = Some((true, current));
                }
            }
            Stage::Done => {
                self.downloaded(id, progress);
                progress(Progress::about(id, "Pull complete"));
            }
            Stage::Failed(_) => {}
        }
    }

    fn downloaded(&mut self, id: &str, progress: &(impl Fn(Progress) + Send + Sync)) {
        if !std::mem::replace(&mut self.downloaded, true) {
            progress(Progress::about(id, "Verifying Checksum"));
            progress(Progress::about(id, "Download complete"));
        }
    }
}
