//! `import` and `commit`: an image of one more layer.

use std::io::{self, Read, Write};
use std::path::Path;

use bytes::Bytes;

use crate::documents::HistoryEntry;
use crate::error::{At, Error};
use crate::files::{self, IdShift, PackOptions};
use crate::image::{Image, NewImage};
use crate::layer::{Expected, Feed, Received, intake};
use crate::store::{NewRecord, Store};

impl Store {
    /// Makes an image of one layer from a tar, compressed or not.
    pub fn import(&self, tar: impl Read, new: NewImage) -> Result<Image, Error> {
        let received = self.take(|feed| pour(tar, feed))?;
        self.add_layer(received, new)
    }

    /// Makes an image of a container's upper directory on top of its image. `ids`: what is in it belongs to the ids of
    /// a user namespace.
    pub fn commit(
        &self,
        upper: &Path,
        ids: Option<IdShift>,
        new: NewImage,
    ) -> Result<Image, Error> {
        let options = PackOptions {
            ids,
            layer: true,
            ..PackOptions::default()
        };
        let pack = |feed: &Feed| {
            let upper = std::fs::File::open(upper)?;
            files::pack(upper, b"", options, Feeding(feed)).map(drop)
        };
        let received = self.take(pack)?;
        self.add_layer(received, new)
    }

    /// Runs a layer's bytes through the intake.
    fn take(&self, write: impl FnOnce(&Feed) -> io::Result<()>) -> Result<Received, Error> {
        let incoming = self.incoming();
        let (feed, intake) =
            intake(&incoming, Expected::default()).at("create a folder in", &incoming)?;
        let written = write(&feed);
        if let Err(source) = written {
            drop(feed);
            // If the unpacking side gave up first, its reason is the better one.
            return Err(match intake.blocking_outcome() {
                Err(crate::layer::LayerError::Cut) | Ok(_) => Error::Stream {
                    attempt: "read the layer",
                    source,
                },
                Err(error) => error.into(),
            });
        }
        drop(feed.blocking_end());
        Ok(intake.blocking_outcome()?)
    }

    fn add_layer(&self, received: Received, new: NewImage) -> Result<Image, Error> {
        let now = jiff::Timestamp::now().to_string();
        let mut config = new.base;
        let diff = received.diff.clone();
        config.rootfs.kind = "layers".into();
        config.rootfs.diff_ids.push(diff);
        config.created.clone_from(&now);
        config.author.clone_from(&new.author);
        config.comment.clone_from(&new.comment);
        config.history.push(HistoryEntry {
            created: now,
            created_by: new.created_by,
            author: new.author,
            comment: new.comment,
            empty_layer: false,
        });
        let _lease = self.lease(&config.rootfs.diff_ids);
        self.adopt(received, None)?;
        let raw =
            serde_json::to_vec(&config).map_err(|error| Error::Malformed(error.to_string()))?;
        let names: Vec<_> = new
            .reference
            .into_iter()
            .map(crate::reference::Reference::or_latest)
            .collect();
        let record = NewRecord {
            config: &raw,
            manifest: None,
            parent: new.parent,
            names: &names,
        };
        Ok(self.record(&record)?.0)
    }
}

fn pour(mut from: impl Read, feed: &Feed) -> io::Result<()> {
    loop {
        let mut buffer = vec![0; 256 << 10];
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                buffer.truncate(length);
                // The intake's outcome says why it stopped.
                if feed.blocking_send(Bytes::from(buffer)).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

struct Feeding<'a>(&'a Feed);

impl Write for Feeding<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
