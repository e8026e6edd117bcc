//! `load`: archives of `docker save` and OCI layouts, read in one go.
//!
//! The archive is a stream, and its parts come in any order. Whatever looks like a layer is unpacked as it comes,
//! small documents are kept, and at the end `manifest.json` or `index.json` says what it all was.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};

use bytes::Bytes;
use serde::Deserialize;

use crate::digest::{DiffId, Digest};
use crate::documents::{Descriptor, ImageConfig, Index, media};
use crate::error::{At, Error};
use crate::image::{Image, Loaded};
use crate::layer::{Expected, Feed, Received, intake};
use crate::platform::Platform;
use crate::progress::Progress;
use crate::reference::Reference;
use crate::registry::{Document, choose, read_document};
use crate::store::{NewRecord, Store};
use crate::tar::{Entry, Kind, Reader, TarError};

/// Documents in an archive are smaller than this, and all together than eight times this.
const MAX_DOCUMENT: u64 = 16 << 20;
/// As large as a registry's manifests may be.
const MAX_MANIFEST: usize = 4 << 20;
/// How many documents and links are remembered.
const MAX_PARTS: usize = 100_000;
/// How many images one archive may name.
const MAX_IMAGES: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestItem {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// One image of the archive, still to be recorded.
struct Found {
    config: Bytes,
    manifest: Option<Bytes>,
    /// Paths of the layers, bottom first.
    layers: Vec<String>,
    names: Vec<Reference>,
}

impl Store {
    /// Loads the images of an archive: `docker save`'s or an OCI layout, compressed or not.
    pub fn load(
        &self,
        archive: impl Read,
        progress: impl Fn(Progress),
    ) -> Result<Vec<Loaded>, Error> {
        let mut parts = Parts::default();
        let mut reader = Reader::new(plain(archive)?, ());
        while let Some(entry) = reader.next().map_err(malformed)? {
            self.part(&mut parts, &entry, &mut reader, &progress)?;
        }
        parts
            .images()?
            .into_iter()
            .map(|found| self.loaded(&mut parts, found))
            .collect()
    }

    /// Loads an archive that is part of the program, unless its image is here already.
    pub fn seed_embedded(&self, archive: &[u8]) -> Result<Image, Error> {
        if let Some(image) = self.seeded(archive)? {
            return Ok(image);
        }
        // Loading blocks; a thread of its own may, wherever this is called.
        let loaded = std::thread::scope(|scope| scope.spawn(|| self.load(archive, |_| {})).join());
        let loaded = loaded.unwrap_or_else(|_| {
            Err(Error::Interrupted(
                "loading the embedded archive failed".into(),
            ))
        })?;
        let first = loaded.into_iter().next();
        first
            .map(|loaded| loaded.image)
            .ok_or_else(|| Error::Malformed("the embedded archive holds no image".into()))
    }

    /// The image of an archive, if it is here under the archive's names.
    fn seeded(&self, archive: &[u8]) -> Result<Option<Image>, Error> {
        let mut parts = Parts::default();
        let mut reader = Reader::new(plain(archive)?, ());
        while let Some(entry) = reader.next().map_err(malformed)? {
            if entry.kind == Kind::File
                && !looks_like_layer(&member(&entry.path), reader.chunk().map_err(malformed)?)
            {
                parts.documents.insert(
                    member(&entry.path),
                    reader.content(MAX_DOCUMENT).map_err(malformed)?.into(),
                );
            }
        }
        let Some(found) = parts.images()?.into_iter().next() else {
            return Ok(None);
        };
        let image = self.find(Digest::of(&found.config).as_str()).ok();
        Ok(image.filter(|image| found.names.iter().all(|name| image.tags().contains(name))))
    }

    /// Takes one member of the archive in.
    fn part<R: BufRead>(
        &self,
        parts: &mut Parts,
        entry: &Entry,
        reader: &mut Reader<R, ()>,
        progress: &impl Fn(Progress),
    ) -> Result<(), Error> {
        let path = member(&entry.path);
        if parts.documents.len() + parts.links.len() + parts.layers.len() > MAX_PARTS {
            return Err(Error::Malformed("the archive has too many members".into()));
        }
        match entry.kind {
            Kind::Symlink => drop(parts.links.insert(path.clone(), beside(&path, &entry.link))),
            Kind::HardLink => drop(parts.links.insert(path, member(&entry.link))),
            Kind::File if entry.payload == 0 => {}
            Kind::File if looks_like_layer(&path, reader.chunk().map_err(malformed)?) => {
                let received = self.unpack_part(&path, entry.payload, reader, progress)?;
                parts.layers.insert(path, received);
            }
            Kind::File
                if entry.payload <= MAX_DOCUMENT && parts.documents_size <= 8 * MAX_DOCUMENT =>
            {
                let content = reader.content(MAX_DOCUMENT).map_err(malformed)?;
                parts.documents_size += content.len() as u64;
                parts.documents.insert(path, content.into());
            }
            _ => {}
        }
        Ok(())
    }

    fn unpack_part<R: BufRead>(
        &self,
        path: &str,
        size: u64,
        reader: &mut Reader<R, ()>,
        progress: &impl Fn(Progress),
    ) -> Result<Received, Error> {
        let incoming = self.incoming();
        let blob = path
            .strip_prefix("blobs/sha256/")
            .and_then(|hex| Digest::from_hex(hex).ok());
        let id: String = path
            .rsplit('/')
            .find(|part| *part != "layer.tar")
            .unwrap_or(path)
            .chars()
            .take(12)
            .collect();
        let (feed, intake) =
            intake(&incoming, Expected { blob, diff: None }).at("create a folder in", &incoming)?;
        if let Err(error) = pour(reader, &feed, &id, size, progress) {
            // Waiting for the other side: it takes what it has made away.
            drop(feed);
            drop(intake.blocking_outcome());
            return Err(error);
        }
        drop(feed.blocking_end());
        Ok(intake.blocking_outcome()?)
    }

    /// Records one image of the archive.
    fn loaded(&self, parts: &mut Parts, found: Found) -> Result<Loaded, Error> {
        let config: ImageConfig = serde_json::from_slice(&found.config).map_err(|error| {
            Error::Malformed(format!(
                "an image configuration in the archive is malformed: {error}"
            ))
        })?;
        let diffs = config.rootfs.diff_ids;
        if diffs.len() != found.layers.len() {
            return Err(Error::Malformed(
                "invalid manifest, layers length mismatch".into(),
            ));
        }
        let _lease = self.lease(&diffs);
        for (diff, path) in diffs.iter().zip(&found.layers) {
            self.adopt_part(parts, diff, path)?;
        }
        let new = NewRecord {
            config: &found.config,
            manifest: found.manifest.as_deref(),
            parent: None,
            names: &found.names,
        };
        let (image, _) = self.record(&new)?;
        Ok(Loaded {
            image,
            tags: found.names,
        })
    }

    fn adopt_part(&self, parts: &mut Parts, diff: &DiffId, path: &str) -> Result<(), Error> {
        if self.has_layer(diff) {
            return Ok(());
        }
        let path = parts.follow(path);
        // A layer of no entries may be an empty file, which is not looked at; it has no diff id of its own.
        let received = parts.layers.remove(&path).or_else(|| parts.by_diff(diff));
        let received = received
            .ok_or_else(|| Error::Malformed(format!("the archive lacks the layer {path}")))?;
        if received.diff != *diff {
            let (wanted, found) = (diff.0.clone(), received.diff.0.clone());
            return Err(crate::layer::LayerError::WrongDiffId { wanted, found }.into());
        }
        self.adopt(received, None).map(drop)
    }
}

/// Passes one member's content on, until nobody wants it any more.
fn pour<R: BufRead>(
    reader: &mut Reader<R, ()>,
    feed: &Feed,
    id: &str,
    size: u64,
    progress: &impl Fn(Progress),
) -> Result<(), Error> {
    let (mut done, mut told) = (0, 0);
    loop {
        let chunk = reader.chunk().map_err(malformed)?;
        let length = chunk.len();
        if length == 0 || feed.blocking_send(Bytes::copy_from_slice(chunk)).is_err() {
            return Ok(());
        }
        reader.advance(length);
        done += length as u64;
        if done - told > 1 << 20 || done == size {
            told = done;
            progress(Progress::about(id, "Loading layer").at(done, size));
        }
    }
}

/// What of the archive was read.
#[derive(Default)]
struct Parts {
    documents: HashMap<String, Bytes>,
    documents_size: u64,
    layers: HashMap<String, Received>,
    links: HashMap<String, String>,
}

impl Parts {
    /// Old archives name a layer that several images share by links.
    fn follow(&self, path: &str) -> String {
        let mut path = member(path.as_bytes());
        for _ in 0..16 {
            match self.links.get(&path) {
                Some(target) => path.clone_from(target),
                None => break,
            }
        }
        path
    }

    fn by_diff(&mut self, diff: &DiffId) -> Option<Received> {
        let path = self
            .layers
            .iter()
            .find(|(_, received)| received.diff == *diff)?
            .0
            .clone();
        self.layers.remove(&path)
    }

    fn document(&self, path: &str) -> Result<&Bytes, Error> {
        let path = self.follow(path);
        self.documents
            .get(&path)
            .ok_or_else(|| Error::Malformed(format!("the archive lacks {path}")))
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<&Bytes, Error> {
        let bytes = self.document(&blob_path(&descriptor.digest))?;
        if Digest::of(bytes) == descriptor.digest {
            Ok(bytes)
        } else {
            Err(Error::Malformed(format!(
                "{} in the archive does not match its digest",
                descriptor.digest
            )))
        }
    }

    fn images(&self) -> Result<Vec<Found>, Error> {
        if self.documents.contains_key("manifest.json") {
            return self.docker_images();
        }
        if self.documents.contains_key("index.json") {
            return self.oci_images();
        }
        Err(Error::Malformed("the archive is neither of docker save nor an OCI layout: no manifest.json, no index.json".into()))
    }

    fn docker_images(&self) -> Result<Vec<Found>, Error> {
        let items: Vec<ManifestItem> = parse("manifest.json", self.document("manifest.json")?)?;
        few_enough(items.len())?;
        let manifests = self.manifests();
        items
            .into_iter()
            .map(|item| {
                let names = item.repo_tags.unwrap_or_default();
                let names = names
                    .iter()
                    .map(|name| Ok(Reference::parse(name)?.or_latest()));
                let config = self.document(&item.config)?.clone();
                let manifest = manifests.get(&Digest::of(&config)).cloned();
                Ok(Found {
                    config,
                    manifest,
                    layers: item.layers.unwrap_or_default(),
                    names: names.collect::<Result<_, Error>>()?,
                })
            })
            .collect()
    }

    /// The OCI manifests beside a `manifest.json`, if the archive is both, by their configuration.
    fn manifests(&self) -> HashMap<Digest, Bytes> {
        self.documents
            .iter()
            .filter(|(path, bytes)| path.starts_with("blobs/") && bytes.len() <= MAX_MANIFEST)
            .filter_map(|(path, bytes)| {
                let (Document::Manifest(manifest), _) = read_document(bytes, "").ok()? else {
                    return None;
                };
                let intact = *path == blob_path(&Digest::of(bytes));
                intact.then(|| (manifest.config.digest, bytes.clone()))
            })
            .collect()
    }

    fn oci_images(&self) -> Result<Vec<Found>, Error> {
        let index: Index = parse("index.json", self.document("index.json")?)?;
        few_enough(index.manifests.len())?;
        let mut all = Vec::new();
        for descriptor in &index.manifests {
            if let Some(found) = self.oci_image(descriptor, 0)? {
                all.push(found);
            }
        }
        Ok(all)
    }

    fn oci_image(&self, descriptor: &Descriptor, depth: usize) -> Result<Option<Found>, Error> {
        let bytes = self.blob(descriptor)?;
        let document = read_document(bytes, &descriptor.media_type);
        let (document, _) = document.map_err(|_| {
            Error::Malformed(format!(
                "{} in the archive is no manifest",
                descriptor.digest
            ))
        })?;
        let mut found = match document {
            Document::Index(index) if depth < 4 => match choose(&index, &Platform::host(), false) {
                Some(best) => self.oci_image(best, depth + 1)?,
                None => None,
            },
            Document::Index(_) => {
                return Err(Error::Malformed(
                    "indexes in the archive are nested too deep".into(),
                ));
            }
            Document::Manifest(manifest) if is_image(&manifest.config) => Some(Found {
                config: self.blob(&manifest.config)?.clone(),
                manifest: Some(bytes.clone()),
                layers: manifest
                    .layers
                    .iter()
                    .map(|layer| blob_path(&layer.digest))
                    .collect(),
                names: Vec::new(),
            }),
            Document::Manifest(_) => None,
        };
        if let Some(found) = &mut found {
            found.names.extend(name_of(descriptor));
        }
        Ok(found)
    }
}

/// The name an OCI layout gives an image; a bare tag is none.
fn name_of(descriptor: &Descriptor) -> Option<Reference> {
    let full = descriptor.annotations.get("io.containerd.image.name");
    let short = descriptor
        .annotations
        .get("org.opencontainers.image.ref.name")
        .filter(|name| name.contains([':', '/']));
    Some(Reference::parse(full.or(short)?).ok()?.or_latest())
}

fn is_image(config: &Descriptor) -> bool {
    [
        "",
        media::CONFIG,
        media::DOCKER_CONFIG,
        "application/octet-stream",
    ]
    .contains(&config.media_type.as_str())
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Every image named costs a look at the documents, however often the same one is named.
fn few_enough(images: usize) -> Result<(), Error> {
    if images > MAX_IMAGES {
        return Err(Error::Malformed("the archive has too many images".into()));
    }
    Ok(())
}

fn parse<T: for<'de> Deserialize<'de>>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Malformed(format!("{what} in the archive is malformed: {error}")))
}

/// A member's name without `./` and slashes around.
fn member(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    text.split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect::<Vec<_>>()
        .join("/")
}

/// What a link of an archive's member points to, as a member.
fn beside(path: &str, link: &[u8]) -> String {
    let link = String::from_utf8_lossy(link);
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Layers are tars, compressed or not. A JSON document starts with a brace or a bracket, a tar with a name.
fn looks_like_layer(path: &str, start: &[u8]) -> bool {
    let compressed =
        start.starts_with(&[0x1f, 0x8b]) || start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let tar = start.get(257..262).is_some_and(|magic| magic == b"ustar") || path.ends_with(".tar");
    let empty = start.len() >= 512 && start[..512].iter().all(|b| *b == 0);
    let json = start
        .iter()
        .find(|b| !b.is_ascii_whitespace())
        .is_some_and(|b| matches!(b, b'{' | b'['));
    compressed || (!json && (tar || empty))
}

/// The archive itself may be compressed.
pub(super) fn plain<'a>(archive: impl Read + 'a) -> Result<Box<dyn BufRead + 'a>, Error> {
    let mut archive = BufReader::with_capacity(256 << 10, archive);
    let reading = |source| Error::Stream {
        attempt: "read the archive",
        source,
    };
    let magic = archive.fill_buf().map_err(reading)?;
    if magic.starts_with(&[0x1f, 0x8b]) {
        let decoder = flate2::bufread::MultiGzDecoder::new(archive);
        return Ok(Box::new(BufReader::with_capacity(256 << 10, decoder)));
    }
    if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::Decoder::with_buffer(archive).map_err(reading)?;
        return Ok(Box::new(BufReader::with_capacity(256 << 10, decoder)));
    }
    Ok(Box::new(archive))
}

pub(super) fn malformed(error: TarError) -> Error {
    match error {
        TarError::Read(source) => Error::Stream {
            attempt: "read the archive",
            source,
        },
        other => Error::Malformed(other.to_string()),
    }
}
