//! `save`: one archive that is both `docker save`'s and an OCI layout.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::json;

use crate::digest::{DiffId, Digest, Hasher};
use crate::documents::media;
use crate::error::Error;
use crate::image::Image;
use crate::layer::{LayerError, write_tar};
use crate::reference::Reference;
use crate::store::{Store, layer_dir};
use crate::tar::{Member, Writer};

/// One image to save, with the names it is to have.
struct Item {
    image: Image,
    names: Vec<Reference>,
    manifest: Vec<u8>,
}

impl Store {
    /// Writes images as one archive that is both `docker save`'s and an OCI layout. A name without a tag means all
    /// tags of that repository; an id is saved without names.
    pub fn save(&self, names: &[String], to: impl Write) -> Result<(), Error> {
        let items = self.items(names)?;
        let holds = items
            .iter()
            .map(|item| self.hold(item.image.id()))
            .collect::<Result<Vec<_>, _>>()?;
        let writing = |source| Error::Stream {
            attempt: "write the archive",
            source,
        };
        let mut tar = Writer::new(to);
        for folder in ["blobs/", "blobs/sha256/"] {
            tar.header(&Member::directory(folder, 0)).map_err(writing)?;
        }
        let mut written = BTreeSet::new();
        for item in &items {
            for diff in item.image.layers() {
                if written.insert(diff.0.clone()) {
                    self.write_layer(diff, &mut tar)?;
                }
            }
            for bytes in [item.image.raw_config(), &item.manifest] {
                let digest = Digest::of(bytes);
                if written.insert(digest.clone()) {
                    tar.file(&blob(&digest), bytes, 0).map_err(writing)?;
                }
            }
        }
        for (name, document) in documents(&items) {
            tar.file(name, document.to_string().as_bytes(), 0)
                .map_err(writing)?;
        }
        tar.finish().map_err(writing)?;
        drop(holds);
        Ok(())
    }

    fn items(&self, names: &[String]) -> Result<Vec<Item>, Error> {
        let mut items: Vec<Item> = Vec::new();
        for name in names {
            for (image, name) in self.named_by(name)? {
                match items.iter_mut().find(|item| item.image.id() == image.id()) {
                    Some(item) => item.names.extend(name),
                    None => {
                        let manifest = self.plain_manifest(&image)?;
                        items.push(Item {
                            image,
                            names: name.into_iter().collect(),
                            manifest,
                        });
                    }
                }
            }
        }
        Ok(items)
    }

    /// What a name given to `save` means.
    fn named_by(&self, name: &str) -> Result<Vec<(Image, Option<Reference>)>, Error> {
        let image = self.find(name);
        let reference = Reference::parse(name).ok();
        let all_tags = reference
            .as_ref()
            .filter(|reference| reference.tag().is_none() && reference.digest().is_none());
        if let Some(repository) = all_tags {
            let state = self.state();
            let tags = state
                .tags
                .iter()
                .filter(|((known, _), _)| *known == repository.name());
            let found: Vec<_> = tags
                .filter_map(|((_, tag), id)| {
                    Some((state.image(id)?, repository.with_tag(tag).ok()))
                })
                .collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let image = image?;
        let named = reference.filter(|reference| image.tags().contains(reference));
        Ok(vec![(image, named)])
    }

    /// A manifest of uncompressed layers.
    pub(crate) fn plain_manifest(&self, image: &Image) -> Result<Vec<u8>, Error> {
        let sizes: Vec<u64> = {
            let state = self.state();
            image
                .layers()
                .iter()
                .map(|diff| state.layers.get(diff).map_or(0, |layer| layer.tar_size))
                .collect()
        };
        let layers =
            image.layers().iter().zip(sizes).map(
                |(diff, size)| json!({"mediaType": media::LAYER, "digest": diff.0, "size": size}),
            );
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media::MANIFEST,
            "config": {"mediaType": media::CONFIG, "digest": image.id(), "size": image.raw_config().len()},
            "layers": layers.collect::<Vec<_>>(),
        });
        Ok(manifest.to_string().into_bytes())
    }

    fn write_layer(&self, diff: &DiffId, tar: &mut Writer<impl Write>) -> Result<(), Error> {
        let writing = |source| Error::Stream {
            attempt: "write the archive",
            source,
        };
        let size = self
            .state()
            .layers
            .get(diff)
            .map_or(0, |layer| layer.tar_size);
        tar.header(&Member::file(&blob(&diff.0), size, 0))
            .map_err(writing)?;
        self.write_layer_tar(diff, &mut tar.out)?;
        tar.pad(size).map_err(writing)
    }

    /// Writes a layer's exact tar, and checks that it is exact.
    pub(crate) fn write_layer_tar(&self, diff: &DiffId, to: impl Write) -> Result<(), Error> {
        let mut hashing = Hashing {
            to,
            hasher: Hasher::default(),
        };
        write_tar(&layer_dir(self.root(), diff), &mut hashing).map_err(|source| Error::Stream {
            attempt: "make a layer's tar again",
            source,
        })?;
        if hashing.hasher.finish() == diff.0 {
            Ok(())
        } else {
            Err(LayerError::Corrupt(diff.0.clone()).into())
        }
    }
}

/// Passes bytes on and digests them.
pub(crate) struct Hashing<W> {
    pub(crate) to: W,
    pub(crate) hasher: Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.to.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The documents at the archive's top.
fn documents(items: &[Item]) -> Vec<(&'static str, serde_json::Value)> {
    let docker: Vec<_> = items
        .iter()
        .map(|item| {
            json!({
                "Config": blob(item.image.id()),
                "RepoTags": names(item),
                "Layers": item.image.layers().iter().map(|diff| blob(&diff.0)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let oci: Vec<_> = items.iter().flat_map(descriptors).collect();
    let mut repositories = serde_json::Map::new();
    for (item, name) in items
        .iter()
        .flat_map(|item| item.names.iter().map(move |name| (item, name)))
    {
        let top = item
            .image
            .layers()
            .last()
            .map(|diff| diff.0.hex())
            .unwrap_or_default();
        if let Some(tag) = name.tag() {
            repositories
                .entry(name.familiar_name())
                .or_insert_with(|| json!({}))[tag] = top.into();
        }
    }
    let mut documents = vec![
        (
            "index.json",
            json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": oci}),
        ),
        ("manifest.json", docker.into()),
        ("oci-layout", json!({"imageLayoutVersion": "1.0.0"})),
    ];
    if !repositories.is_empty() {
        documents.push(("repositories", repositories.into()));
    }
    documents
}

fn names(item: &Item) -> serde_json::Value {
    if item.names.is_empty() {
        return serde_json::Value::Null;
    }
    item.names
        .iter()
        .map(|name| name.familiar().into())
        .collect::<Vec<serde_json::Value>>()
        .into()
}

/// An OCI layout names an image once per tag.
fn descriptors(item: &Item) -> Vec<serde_json::Value> {
    let plain = json!({
        "mediaType": media::MANIFEST,
        "digest": Digest::of(&item.manifest),
        "size": item.manifest.len(),
    });
    if item.names.is_empty() {
        return vec![plain];
    }
    let named = item.names.iter().map(|name| {
        let mut descriptor = plain.clone();
        descriptor["annotations"] = json!({
            "io.containerd.image.name": name.to_string(),
            "org.opencontainers.image.ref.name": name.tag().unwrap_or("latest"),
        });
        descriptor
    });
    named.collect()
}
