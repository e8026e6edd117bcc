//! The store's index on disk: which images, names and layers there are.
//!
//! Rows that belong to content not yet known to be on disk carry the id of the boot that wrote them. After an unclean
//! boot they are thrown away with their content: it can be fetched again.

use std::path::Path;

use rusqlite::{Connection, Row, params};

use crate::digest::{DiffId, Digest};
use crate::error::{Attempting, Error};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS images (
        id TEXT PRIMARY KEY, manifest TEXT, parent TEXT, tagged_at INTEGER NOT NULL, fixup INTEGER NOT NULL,
        hidden INTEGER NOT NULL, boot TEXT
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS tags (
        name TEXT, tag TEXT, image TEXT NOT NULL, PRIMARY KEY (name, tag)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS digests (
        name TEXT, digest TEXT, image TEXT NOT NULL, PRIMARY KEY (name, digest)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS layers (
        diff TEXT PRIMARY KEY, size INTEGER NOT NULL, tar_size INTEGER NOT NULL, boot TEXT
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS blobs (
        diff TEXT, digest TEXT, size INTEGER NOT NULL, media_type TEXT NOT NULL, name TEXT,
        PRIMARY KEY (diff, digest, name)
    ) WITHOUT ROWID;
";

/// One row of `images`.
#[derive(Clone, Debug)]
pub(crate) struct ImageRow {
    pub(crate) id: Digest,
    pub(crate) manifest: Option<Digest>,
    pub(crate) parent: Option<Digest>,
    pub(crate) tagged_at: i64,
    pub(crate) fixup: bool,
    pub(crate) hidden: bool,
    pub(crate) boot: Option<String>,
}

/// One row of `layers`.
#[derive(Clone, Debug)]
pub(crate) struct LayerRow {
    pub(crate) diff: DiffId,
    pub(crate) size: u64,
    pub(crate) tar_size: u64,
    pub(crate) boot: Option<String>,
}

/// A blob that a layer is known to be on registries as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlobRow {
    pub(crate) diff: DiffId,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) media_type: String,
    /// The repository, domain included.
    pub(crate) name: String,
}

pub(crate) struct Index(Connection);

impl Index {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path).attempting("open the database")?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -512;",
            )
            .and_then(|()| connection.execute_batch(SCHEMA))
            .attempting("prepare the tables")?;
        Ok(Self(connection))
    }

    /// Changes that are on disk when this returns.
    pub(crate) fn change<T>(
        &mut self,
        attempt: &'static str,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let transaction = self.0.transaction().attempting(attempt)?;
        let value = change(&transaction).attempting(attempt)?;
        transaction.commit().attempting(attempt)?;
        Ok(value)
    }

    /// Changes that a power cut may undo, whole: for content that is not on disk yet either.
    pub(crate) fn change_soon<T>(
        &mut self,
        attempt: &'static str,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.0
            .pragma_update(None, "synchronous", "NORMAL")
            .attempting(attempt)?;
        let outcome = self.change(attempt, change);
        self.0
            .pragma_update(None, "synchronous", "FULL")
            .attempting(attempt)?;
        outcome
    }

    pub(crate) fn images(&self) -> Result<Vec<ImageRow>, Error> {
        self.all(
            "SELECT id, manifest, parent, tagged_at, fixup, hidden, boot FROM images",
            |row| {
                Ok(ImageRow {
                    id: digest(row, 0)?,
                    manifest: maybe_digest(row, 1)?,
                    parent: maybe_digest(row, 2)?,
                    tagged_at: row.get(3)?,
                    fixup: row.get(4)?,
                    hidden: row.get(5)?,
                    boot: row.get(6)?,
                })
            },
        )
    }

    pub(crate) fn tags(&self) -> Result<Vec<(String, String, Digest)>, Error> {
        self.all("SELECT name, tag, image FROM tags", |row| {
            Ok((row.get(0)?, row.get(1)?, digest(row, 2)?))
        })
    }

    pub(crate) fn digests(&self) -> Result<Vec<(String, Digest, Digest)>, Error> {
        self.all("SELECT name, digest, image FROM digests", |row| {
            Ok((row.get(0)?, digest(row, 1)?, digest(row, 2)?))
        })
    }

    pub(crate) fn layers(&self) -> Result<Vec<LayerRow>, Error> {
        self.all("SELECT diff, size, tar_size, boot FROM layers", |row| {
            Ok(LayerRow {
                diff: DiffId(digest(row, 0)?),
                size: number(row, 1)?,
                tar_size: number(row, 2)?,
                boot: row.get(3)?,
            })
        })
    }

    /// The blobs that a layer is known as.
    pub(crate) fn blobs(&self, diff: &DiffId) -> Result<Vec<BlobRow>, Error> {
        let mut statement = self
            .0
            .prepare_cached("SELECT digest, size, media_type, name FROM blobs WHERE diff = ?1")
            .attempting("read the blobs")?;
        let rows = statement.query_map([diff.0.as_str()], |row| {
            Ok(BlobRow {
                diff: diff.clone(),
                digest: digest(row, 0)?,
                size: number(row, 1)?,
                media_type: row.get(2)?,
                name: row.get(3)?,
            })
        });
        rows.and_then(Iterator::collect)
            .attempting("read the blobs")
    }

    fn all<T>(
        &self,
        query: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let mut statement = self.0.prepare(query).attempting("read the tables")?;
        let rows = statement.query_map([], read);
        rows.and_then(Iterator::collect)
            .attempting("read the tables")
    }
}

fn digest(row: &Row<'_>, at: usize) -> rusqlite::Result<Digest> {
    let text: String = row.get(at)?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn maybe_digest(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Digest>> {
    match row.get::<_, Option<String>>(at)? {
        Some(_) => digest(row, at).map(Some),
        None => Ok(None),
    }
}

fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(i64::cast_unsigned)
}

pub(crate) fn put_image(db: &Connection, row: &ImageRow) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO images (id, manifest, parent, tagged_at, fixup, hidden, boot)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            row.id.as_str(),
            row.manifest.as_ref().map(Digest::as_str),
            row.parent.as_ref().map(Digest::as_str),
            row.tagged_at,
            row.fixup,
            row.hidden,
            row.boot
        ],
    )
    .map(drop)
}

pub(crate) fn put_layer(db: &Connection, row: &LayerRow) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO layers (diff, size, tar_size, boot) VALUES (?1, ?2, ?3, ?4)",
        params![
            row.diff.0.as_str(),
            row.size.cast_signed(),
            row.tar_size.cast_signed(),
            row.boot
        ],
    )
    .map(drop)
}

pub(crate) fn put_blob(db: &Connection, row: &BlobRow) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO blobs (diff, digest, size, media_type, name) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![row.diff.0.as_str(), row.digest.as_str(), row.size.cast_signed(), row.media_type, row.name],
    )
    .map(drop)
}

pub(crate) fn put_tag(
    db: &Connection,
    name: &str,
    tag: &str,
    image: &Digest,
) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO tags (name, tag, image) VALUES (?1, ?2, ?3)",
        params![name, tag, image.as_str()],
    )
    .map(drop)
}

pub(crate) fn put_digest(
    db: &Connection,
    name: &str,
    digest: &Digest,
    image: &Digest,
) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO digests (name, digest, image) VALUES (?1, ?2, ?3)",
        params![name, digest.as_str(), image.as_str()],
    )
    .map(drop)
}

pub(crate) fn drop_tag(db: &Connection, name: &str, tag: &str) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM tags WHERE name = ?1 AND tag = ?2",
        params![name, tag],
    )
    .map(drop)
}

pub(crate) fn drop_digest(db: &Connection, name: &str, digest: &Digest) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM digests WHERE name = ?1 AND digest = ?2",
        params![name, digest.as_str()],
    )
    .map(drop)
}

pub(crate) fn drop_image(db: &Connection, id: &Digest) -> rusqlite::Result<()> {
    db.execute("DELETE FROM images WHERE id = ?1", [id.as_str()])?;
    db.execute("DELETE FROM tags WHERE image = ?1", [id.as_str()])?;
    db.execute("DELETE FROM digests WHERE image = ?1", [id.as_str()])
        .map(drop)
}

pub(crate) fn drop_layer(db: &Connection, diff: &DiffId) -> rusqlite::Result<()> {
    db.execute("DELETE FROM layers WHERE diff = ?1", [diff.0.as_str()])?;
    db.execute("DELETE FROM blobs WHERE diff = ?1", [diff.0.as_str()])
        .map(drop)
}

/// Marks what was written before now as being on disk.
pub(crate) fn mark_synced(
    db: &Connection,
    images: &[Digest],
    layers: &[DiffId],
) -> rusqlite::Result<()> {
    for image in images {
        db.execute(
            "UPDATE images SET boot = NULL WHERE id = ?1",
            [image.as_str()],
        )?;
    }
    for layer in layers {
        db.execute(
            "UPDATE layers SET boot = NULL WHERE diff = ?1",
            [layer.0.as_str()],
        )?;
    }
    Ok(())
}
