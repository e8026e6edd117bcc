//! Pushing: layers that the registry lacks are made again from their files and compressed on the way.
//!
//! A layer is first looked for on the registry under every digest it is known by, then mounted from another
//! repository of the same registry, and only then uploaded. If all layers are there under the digests of the image's
//! own manifest, that very manifest is pushed, and the image keeps its digest.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::archive::Hashing;
use crate::digest::{DiffId, Digest, Hasher};
use crate::documents::{Manifest, media};
use crate::error::{At, Error};
use crate::image::Image;
use crate::progress::{Progress, Pushed};
use crate::reference::Reference;
use crate::registry::{Credentials, RegistryError, Sent, Session, Upload};
use crate::store::{BlobRow, Store, blob_path};

/// Layers compressed and sent at the same time.
const AT_ONCE: usize = 3;
/// Tries of one layer.
const TRIES: u32 = 4;
/// Compressed bytes per chunk on their way to the network.
const CHUNK: usize = 128 << 10;

impl Store {
    /// Sends an image. Dropping the future stops it. The line that names the repository (`The push refers to …`) is the
    /// caller's.
    pub async fn push(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Pushed, Error> {
        let reference = reference.clone().or_latest();
        let tag = reference.tag().unwrap_or_default().to_owned();
        let image = self.tagged(&reference)?;
        let _hold = self.hold(image.id())?;
        let known = self.known_blobs(&image)?;
        let session = self.push_session(&reference, credentials, &known).await?;
        let permits = Semaphore::new(AT_ONCE);
        let mut layers: Vec<&DiffId> = image.layers().iter().collect();
        layers.sort();
        layers.dedup();
        let sends = layers.iter().map(|diff| async {
            let permit = permits.acquire().await;
            let sent = self
                .send_layer(
                    &session,
                    diff,
                    known.get(*diff).map_or(&[], Vec::as_slice),
                    &progress,
                )
                .await?;
            drop(permit);
            Ok::<_, Error>(((*diff).clone(), sent))
        });
        let sent: BTreeMap<DiffId, BlobRow> = futures_util::future::try_join_all(sends)
            .await?
            .into_iter()
            .collect();
        let (bytes, media_type) = self.manifest_for(&image, &sent)?;
        session
            .put_blob(image.id(), image.raw_config().to_vec())
            .await?;
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        session.put_manifest(&tag, &media_type, bytes).await?;
        self.note_digest(&reference.with_digest(digest.clone()), image.id())?;
        progress(Progress::line(format!(
            "{tag}: digest: {digest} size: {size}"
        )));
        let pushed = Pushed { tag, digest, size };
        progress(Progress {
            pushed: Some(pushed.clone()),
            ..Progress::line("")
        });
        Ok(pushed)
    }

    /// The image to push: only a tag of that repository will do.
    fn tagged(&self, reference: &Reference) -> Result<Image, Error> {
        let state = self.state();
        let name = reference.name();
        if !state.tags.keys().any(|(known, _)| *known == name) {
            let short = reference.familiar_name();
            return Err(Error::NotTagged(format!(
                "An image does not exist locally with the tag: {short}"
            )));
        }
        let key = (name, reference.tag().unwrap_or_default().to_owned());
        let image = state.tags.get(&key).and_then(|id| state.image(id));
        image.ok_or_else(|| {
            Error::NotTagged(format!("tag does not exist: {}", reference.familiar()))
        })
    }

    /// What each layer is known as on registries.
    fn known_blobs(&self, image: &Image) -> Result<BTreeMap<DiffId, Vec<BlobRow>>, Error> {
        let state = self.state();
        image
            .layers()
            .iter()
            .map(|diff| Ok((diff.clone(), state.index.blobs(diff)?)))
            .collect()
    }

    async fn push_session(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
        known: &BTreeMap<DiffId, Vec<BlobRow>>,
    ) -> Result<Session, Error> {
        let places = self
            .0
            .endpoints
            .of(&self.0.settings, reference.domain(), false)
            .await?;
        let place = places.into_iter().next_back();
        let place =
            place.ok_or_else(|| RegistryError::NoImage(format!("nobody serves {reference}")))?;
        let mut sources: Vec<String> = known
            .values()
            .flatten()
            .filter_map(|blob| path_beside(reference, blob))
            .map(str::to_owned)
            .collect();
        sources.sort();
        sources.dedup();
        sources.truncate(8);
        Ok(Session::new(place, reference.clone(), credentials, "pull,push").also_from(sources))
    }

    /// Makes sure the registry has a layer; says as which blob.
    async fn send_layer(
        &self,
        session: &Session,
        diff: &DiffId,
        known: &[BlobRow],
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<BlobRow, Error> {
        let id = diff.0.short();
        progress(Progress::about(id, "Preparing"));
        let as_ours = |blob: &BlobRow| BlobRow {
            name: session.reference.name(),
            ..blob.clone()
        };
        for blob in known {
            if session.has_blob(&blob.digest).await? {
                progress(Progress::about(id, "Layer already exists"));
                return Ok(as_ours(blob));
            }
        }
        let mut upload = None;
        for blob in known {
            let Some(from) = path_beside(&session.reference, blob) else {
                continue;
            };
            match session.begin(Some((&blob.digest, from))).await? {
                Sent::Mounted => {
                    progress(Progress::about(id, format!("Mounted from {from}")));
                    self.remember_blob(&as_ours(blob))?;
                    return Ok(as_ours(blob));
                }
                Sent::Wanted(ready) => upload = Some(ready),
            }
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self
                .upload_layer(session, upload.take(), diff, progress)
                .await
            {
                Err(Error::Registry(error)) if error.is_temporary() && attempt < TRIES => {
                    tracing::debug!(%error, layer = id, "an upload failed, trying again");
                    progress(Progress::about(id, "Retrying"));
                    tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
                }
                other => return other,
            }
        }
    }

    async fn upload_layer(
        &self,
        session: &Session,
        upload: Option<Upload>,
        diff: &DiffId,
        progress: &(impl Fn(Progress) + Send + Sync),
    ) -> Result<BlobRow, Error> {
        let upload = match upload {
            Some(upload) => upload,
            None => match session.begin(None).await? {
                Sent::Wanted(upload) => upload,
                Sent::Mounted => {
                    return Err(session.rubbish("it mounts what was not asked for").into());
                }
            },
        };
        let total = self
            .state()
            .layers
            .get(diff)
            .map_or(0, |layer| layer.tar_size);
        let read = Arc::new(AtomicU64::new(0));
        let (body, outcome) = self.compressed(diff, Arc::clone(&read))?;
        let id = diff.0.short();
        let body = stream::unfold(body, |mut body| async {
            body.recv().await.map(|chunk| (chunk, body))
        });
        let mut streaming = Box::pin(session.stream(upload, body));
        let upload = loop {
            match tokio::time::timeout(Duration::from_millis(100), &mut streaming).await {
                Ok(outcome) => break outcome?,
                Err(_) => {
                    progress(
                        Progress::about(id, "Pushing").at(read.load(Ordering::Relaxed), total),
                    );
                }
            }
        };
        let made = outcome
            .await
            .map_err(|_| Error::Interrupted("the layer could not be compressed".into()))??;
        session.finish(upload, &made.0, Bytes::new()).await?;
        progress(Progress::about(id, "Pushed"));
        let blob = BlobRow {
            diff: diff.clone(),
            digest: made.0,
            size: made.1,
            media_type: media::DOCKER_LAYER_GZIP.into(),
            name: session.reference.name(),
        };
        self.remember_blob(&blob)?;
        Ok(blob)
    }

    /// Makes a layer's tar again and compresses it, on a thread of its own: chunks, and in the end what they were.
    fn compressed(
        &self,
        diff: &DiffId,
        read: Arc<AtomicU64>,
    ) -> Result<(Chunks, Compressed), Error> {
        let (chunks, body) = mpsc::channel(8);
        let (tell, outcome) = oneshot::channel();
        let (store, diff) = (self.clone(), diff.clone());
        let compress = move || {
            let out = Hashing {
                to: Chunking {
                    chunks: chunks.clone(),
                    pending: Vec::new(),
                    size: 0,
                },
                hasher: Hasher::default(),
            };
            let mut gzip = flate2::write::GzEncoder::new(out, flate2::Compression::new(6));
            let written = store.write_layer_tar(
                &diff,
                Counting {
                    to: &mut gzip,
                    count: &read,
                },
            );
            let finished = written.and_then(|()| {
                let sending = |source| Error::Stream {
                    attempt: "send a layer",
                    source,
                };
                let mut out = gzip.finish().map_err(sending)?;
                out.flush().map_err(sending)?;
                Ok((out.hasher.finish(), out.to.size))
            });
            if finished.is_err() {
                // The request must fail, not end as if this were the whole layer.
                drop(
                    chunks
                        .blocking_send(Err(io::Error::other("the layer could not be made again"))),
                );
            }
            drop(tell.send(finished));
        };
        std::thread::Builder::new()
            .name("compress".into())
            .spawn(compress)
            .at("start a thread in", self.root())?;
        Ok((body, outcome))
    }

    /// The image's own manifest if it is true of what was sent, otherwise a new one.
    fn manifest_for(
        &self,
        image: &Image,
        sent: &BTreeMap<DiffId, BlobRow>,
    ) -> Result<(Vec<u8>, String), Error> {
        let blobs: Vec<&BlobRow> = image
            .layers()
            .iter()
            .filter_map(|diff| sent.get(diff))
            .collect();
        if let Some(digest) = image.manifest() {
            let bytes = std::fs::read(blob_path(self.root(), digest)).unwrap_or_default();
            if let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes)
                && manifest
                    .layers
                    .iter()
                    .map(|layer| &layer.digest)
                    .eq(blobs.iter().map(|blob| &blob.digest))
            {
                return Ok((
                    bytes,
                    manifest
                        .media_type
                        .unwrap_or_else(|| media::MANIFEST.into()),
                ));
            }
        }
        let layers: Vec<_> = blobs
            .iter()
            .map(|blob| json!({"mediaType": docker_type(&blob.media_type), "size": blob.size, "digest": blob.digest}))
            .collect();
        let config = json!({"mediaType": media::DOCKER_CONFIG, "size": image.raw_config().len(), "digest": image.id()});
        let manifest = json!({"schemaVersion": 2, "mediaType": media::DOCKER_MANIFEST, "config": config, "layers": layers});
        let bytes = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| Error::Malformed(error.to_string()))?;
        Ok((bytes, media::DOCKER_MANIFEST.into()))
    }
}

type Chunks = mpsc::Receiver<io::Result<Bytes>>;
type Compressed = oneshot::Receiver<Result<(Digest, u64), Error>>;

/// The repository that holds a blob on the same registry, if it is another one.
fn path_beside<'a>(reference: &Reference, blob: &'a BlobRow) -> Option<&'a str> {
    let (domain, path) = blob.name.split_once('/')?;
    (domain == reference.domain() && path != reference.path()).then_some(path)
}

/// Manifests of Docker's kind name layers in Docker's way.
fn docker_type(media_type: &str) -> &str {
    match media_type {
        media::LAYER => "application/vnd.docker.image.rootfs.diff.tar",
        other if other.contains("zstd") => other,
        _ => media::DOCKER_LAYER_GZIP,
    }
}

/// Cuts a stream into chunks for the network.
struct Chunking {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    pending: Vec<u8>,
    size: u64,
}

impl Write for Chunking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        self.size += bytes.len() as u64;
        if self.pending.len() >= CHUNK {
            self.flush().map(|()| bytes.len())
        } else {
            Ok(bytes.len())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.pending));
        self.chunks
            .blocking_send(Ok(chunk))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Counts what goes by.
struct Counting<'a, W> {
    to: W,
    count: &'a AtomicU64,
}

impl<W: Write> Write for Counting<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.to.write(bytes)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
