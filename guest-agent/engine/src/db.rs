//! What survives a boot: one SQLite file, one thread that writes it.
//!
//! Changes that arrive while a commit is under way are committed together (group commit), each acknowledged when it
//! is on disk. Reading happens once, when the file is opened: after that the engine's memory is the truth.

use std::{
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, Transaction, params};
use tokio::sync::oneshot;

use crate::{Error, Result, error::Context};

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS containers (
        id TEXT PRIMARY KEY, definition TEXT NOT NULL, history TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS volumes (
        name TEXT PRIMARY KEY, record TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS networks (
        id TEXT PRIMARY KEY, record TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// How long changes that nobody waits for are gathered.
const GATHERING: Duration = Duration::from_millis(100);

/// One change.
#[derive(Debug)]
pub(crate) enum Change {
    /// A new container, or all of an old one.
    Container {
        id: String,
        definition: String,
        history: String,
    },
    /// What became of a container.
    History { id: String, history: String },
    /// A container is gone.
    ContainerGone { id: String },
    /// A new volume.
    Volume { name: String, record: String },
    /// A volume is gone.
    VolumeGone { name: String },
    /// A new network, or another state of one.
    Network { id: String, record: String },
    /// A network is gone.
    NetworkGone { id: String },
    /// Only to be acknowledged, after what came before.
    Nothing,
}

/// What the file held when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Definition and history of each container.
    pub(crate) containers: Vec<(String, String)>,
    /// The record of each volume.
    pub(crate) volumes: Vec<String>,
    /// The record of each network.
    pub(crate) networks: Vec<String>,
}

struct Job {
    change: Change,
    done: Option<oneshot::Sender<Result<(), String>>>,
}

/// The way to the writer. The thread ends when the last of these is dropped.
#[derive(Clone)]
pub(crate) struct Db {
    jobs: mpsc::Sender<Job>,
}

impl Db {
    /// Opens the file, reads it and starts the writer.
    pub(crate) fn open(path: &Path) -> Result<(Self, Stored)> {
        let attempt = || format!("open {}", path.display());
        let connection = Connection::open(path).context(attempt)?;
        connection.execute_batch(SCHEMA).context(attempt)?;
        let stored = read(&connection).context(|| format!("read {}", path.display()))?;
        let (jobs, queue) = mpsc::channel();
        thread::Builder::new()
            .name("state".into())
            .spawn(move || write_all(connection, &queue))
            .context(|| "start the thread that writes the state".into())?;
        Ok((Db { jobs }, stored))
    }

    /// Makes a change and waits until it is on disk.
    pub(crate) async fn commit(&self, change: Change) -> Result<()> {
        let (done, acknowledged) = oneshot::channel();
        let closed = || Error::internal("write the state: the writer has ended");
        self.jobs
            .send(Job {
                change,
                done: Some(done),
            })
            .map_err(|_| closed())?;
        acknowledged
            .await
            .map_err(|_| closed())?
            .map_err(|cause| Error::internal(format!("write the state: {cause}")))
    }

    /// Waits until everything asked for before is on disk.
    pub(crate) async fn flush(&self) -> Result<()> {
        self.commit(Change::Nothing).await
    }

    /// Makes a change soon. A power cut may lose it; nothing else does.
    pub(crate) fn write_soon(&self, change: Change) {
        // The writer is gone only when the process ends.
        let _ = self.jobs.send(Job { change, done: None });
    }
}

fn read(connection: &Connection) -> rusqlite::Result<Stored> {
    let mut containers = connection.prepare("SELECT definition, history FROM containers")?;
    let mut volumes = connection.prepare("SELECT record FROM volumes")?;
    let mut networks = connection.prepare("SELECT record FROM networks")?;
    Ok(Stored {
        containers: containers
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?,
        volumes: volumes
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?,
        networks: networks
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?,
    })
}

fn write_all(mut connection: Connection, queue: &mpsc::Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let jobs = collect(first, queue);
        let outcome = write_group(&mut connection, &jobs).map_err(|error| error.to_string());
        if let Err(cause) = &outcome {
            tracing::error!(%cause, changes = jobs.len(), "writing the state failed");
        }
        for job in jobs {
            if let Some(done) = job.done {
                // Whoever asked may have gone.
                let _ = done.send(outcome.clone());
            }
        }
    }
}

/// One group: everything that has arrived. As long as nobody waits for it, a little more is waited for.
fn collect(first: Job, queue: &mpsc::Receiver<Job>) -> Vec<Job> {
    let deadline = Instant::now() + GATHERING;
    let mut awaited = first.done.is_some();
    let mut jobs = vec![first];
    while !awaited {
        match queue.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(job) => {
                awaited = job.done.is_some();
                jobs.push(job);
            }
            Err(_) => break,
        }
    }
    jobs.extend(queue.try_iter());
    jobs
}

fn write_group(connection: &mut Connection, jobs: &[Job]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for job in jobs {
        write_one(&transaction, &job.change)?;
    }
    transaction.commit()
}

fn write_one(transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    let changed = match change {
        Change::Container {
            id,
            definition,
            history,
        } => transaction
            .prepare_cached("INSERT OR REPLACE INTO containers VALUES (?1, ?2, ?3)")?
            .execute(params![id, definition, history]),
        Change::History { id, history } => transaction
            .prepare_cached("UPDATE containers SET history = ?2 WHERE id = ?1")?
            .execute(params![id, history]),
        Change::ContainerGone { id } => transaction
            .prepare_cached("DELETE FROM containers WHERE id = ?1")?
            .execute(params![id]),
        Change::Volume { name, record } => transaction
            .prepare_cached("INSERT OR REPLACE INTO volumes VALUES (?1, ?2)")?
            .execute(params![name, record]),
        Change::VolumeGone { name } => transaction
            .prepare_cached("DELETE FROM volumes WHERE name = ?1")?
            .execute(params![name]),
        Change::Network { id, record } => transaction
            .prepare_cached("INSERT OR REPLACE INTO networks VALUES (?1, ?2)")?
            .execute(params![id, record]),
        Change::NetworkGone { id } => transaction
            .prepare_cached("DELETE FROM networks WHERE id = ?1")?
            .execute(params![id]),
        Change::Nothing => Ok(0),
    };
    changed.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str) -> Change {
        Change::Container {
            id: id.into(),
            definition: format!("definition of {id}"),
            history: "new".into(),
        }
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let (db, stored) = Db::open(&path).unwrap();
        assert!(stored.containers.is_empty());
        let (one, two) = tokio::join!(db.commit(container("a")), db.commit(container("b")));
        one.and(two).unwrap();
        db.write_soon(Change::History {
            id: "a".into(),
            history: "old".into(),
        });
        db.commit(Change::ContainerGone { id: "b".into() })
            .await
            .unwrap();

        let (_db, stored) = Db::open(&path).unwrap();
        assert_eq!(
            stored.containers,
            [("definition of a".to_owned(), "old".to_owned())]
        );
    }
}
