//! `logs`: what the monitor recorded, read back.

use std::{os::fd::OwnedFd, path::PathBuf, time::Duration};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use proa_protocol::{stream as frames, timestamp};
use proa_runtime::log::{
    Stream,
    read::{self, Format, Query, Reader, Record},
};
use tokio::{
    io::unix::AsyncFd,
    sync::{mpsc, watch},
};

use super::{Container, log_config, state::State, task::Published};
use crate::{
    Error, Kind, Result, clock,
    error::Context,
    pollable::{self, Pollable},
};

/// How many chunks may wait for a slow client, beside the one that is being read.
const BACKLOG: usize = 2;

/// How much is collected before it is sent.
const CHUNK: usize = 64 * 1024;

/// Between two looks at a log that cannot be watched.
const LOOKING: Duration = Duration::from_millis(200);

/// `EMFILE`, the same on every architecture.
const MFILE: i32 = 24;

/// What to read of a log.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// Lines of standard output.
    pub stdout: bool,
    /// Lines of standard error.
    pub stderr: bool,
    /// Go on with what is written later.
    pub follow: bool,
    /// An RFC 3339 time in front of each line.
    pub timestamps: bool,
    /// `key=value` pairs of the log options in front of each line.
    pub details: bool,
    /// Only lines not before this: a Unix time (`1.5`), as Docker's parameter.
    pub since: Option<String>,
    /// Only lines not after this.
    pub until: Option<String>,
    /// At most so many of the last lines: a number or `all`.
    pub tail: Option<String>,
}

/// A log being read.
pub struct Logs {
    /// Whether the bytes are raw (a terminal) or framed.
    pub tty: bool,
    /// The bytes in their final form.
    pub output: BoxStream<'static, std::io::Result<Bytes>>,
}

impl Container {
    /// Its log.
    pub async fn logs(&self, options: LogOptions) -> Result<Logs> {
        if !options.stdout && !options.stderr {
            return Err(Error::bad(
                "Bad parameters: you must choose at least one stream",
            ));
        }
        let engine = self.engine()?;
        let definition = self.seen().definition;
        let tty = definition.tty();
        let unreadable = || {
            Error::new(
                Kind::NotImplemented,
                "configured logging driver does not support reading",
            )
        };
        let (path, format) = log_config::readable(&engine, &definition).ok_or_else(unreadable)?;
        let query = query(&options)?;
        let form = Form {
            tty,
            timestamps: options.timestamps,
            details: options.details,
        };
        let (chunks, receiver) = mpsc::channel(BACKLOG);
        let reading = Reading {
            path,
            format,
            query,
            form,
            chunks,
        };
        if options.follow {
            let published = self.line.published.clone();
            tokio::spawn(reading.follow(published));
        } else {
            tokio::spawn(reading.once());
        }
        let output = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        Ok(Logs {
            tty,
            output: output.boxed(),
        })
    }
}

fn query(options: &LogOptions) -> Result<Query> {
    let now = clock::now();
    let time = |text: &Option<String>| -> Result<Option<i64>> {
        let given = text
            .as_deref()
            .filter(|text| !text.is_empty() && *text != "0");
        let parsed = given.map(|text| timestamp::parse(text, now)).transpose();
        let parsed = parsed.map_err(|error| Error::bad(error.to_string()))?;
        Ok(parsed.map(|time| i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)))
    };
    Ok(Query {
        // Docker takes what is no number for all of them.
        tail: options.tail.as_deref().and_then(|text| text.parse().ok()),
        since: time(&options.since)?,
        until: time(&options.until)?,
        stdout: options.stdout,
        stderr: options.stderr,
    })
}

/// How an entry looks to the client.
#[derive(Clone, Copy)]
struct Form {
    tty: bool,
    timestamps: bool,
    details: bool,
}

impl Form {
    fn write(self, record: &Record, out: &mut Vec<u8>) {
        let mut line = Vec::with_capacity(record.line.len() + 40);
        if self.timestamps {
            let time = Timestamp::from_nanosecond(i128::from(record.time))
                .unwrap_or(Timestamp::UNIX_EPOCH);
            line.extend_from_slice(timestamp::log(time).as_bytes());
            line.push(b' ');
        }
        if self.details {
            let pairs: Vec<String> = record
                .attributes
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            line.extend_from_slice(pairs.join(",").as_bytes());
            line.push(b' ');
        }
        line.extend_from_slice(&record.line);
        if self.tty {
            out.extend_from_slice(&line);
            return;
        }
        let stream = match record.stream {
            Stream::Stdout => frames::Stream::Stdout,
            Stream::Stderr => frames::Stream::Stderr,
        };
        frames::encode(stream, &line, out);
    }
}

/// A log on its way to a client.
struct Reading {
    path: PathBuf,
    format: Format,
    query: Query,
    form: Form,
    chunks: mpsc::Sender<std::io::Result<Bytes>>,
}

/// Why reading stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// A chunk is full.
    Full,
    /// Nothing more is there now.
    Dry,
    /// Nothing more will be wanted: the client left, the time is over, or reading failed.
    Over,
}

/// A log and how far it was read. A thread is taken for one chunk and given back before that is sent: a client that does
/// not read holds memory for a few chunks, and no thread.
struct Turn {
    reader: Reader,
    form: Form,
}

impl Turn {
    /// Reads the next chunk, on a blocking thread.
    async fn read(mut self) -> Result<(Self, std::io::Result<Vec<u8>>, Stopped)> {
        let read = tokio::task::spawn_blocking(move || {
            let (chunk, stopped) = self.chunk();
            (self, chunk, stopped)
        });
        read.await.context(|| "read a log".into())
    }

    fn chunk(&mut self) -> (std::io::Result<Vec<u8>>, Stopped) {
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK {
            match self.reader.next() {
                Some(Ok(record)) => self.form.write(&record, &mut chunk),
                Some(Err(error)) => return (Err(error), Stopped::Over),
                None if self.reader.is_over() => return (Ok(chunk), Stopped::Over),
                None => return (Ok(chunk), Stopped::Dry),
            }
        }
        (Ok(chunk), Stopped::Full)
    }
}

impl Reading {
    async fn once(self) {
        let outcome = match self.open().await {
            Ok(turn) => self.pour(turn).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::warn!(error = error.told(), "reading a log failed");
        }
    }

    /// Opens the log; what fails is told to the client.
    async fn open(&self) -> Result<Turn> {
        let attempt = || format!("read the log {}", self.path.display());
        let (path, format, query) = (self.path.clone(), self.format, self.query);
        let opened = tokio::task::spawn_blocking(move || Reader::open(&path, format, query));
        match opened.await.context(attempt)? {
            Ok(reader) => Ok(Turn {
                reader,
                form: self.form,
            }),
            Err(error) => {
                let told = std::io::Error::new(error.kind(), error.to_string());
                // Whoever asked may have gone.
                let _ = self.chunks.send(Err(told)).await;
                Err(error).context(attempt)
            }
        }
    }

    /// Sends what there is.
    async fn pour(&self, mut turn: Turn) -> Result<(Turn, Stopped)> {
        loop {
            let (read, chunk, stopped) = turn.read().await?;
            turn = read;
            let nothing = matches!(&chunk, Ok(chunk) if chunk.is_empty());
            if !nothing && self.chunks.send(chunk.map(Bytes::from)).await.is_err() {
                return Ok((turn, Stopped::Over));
            }
            if stopped != Stopped::Full {
                return Ok((turn, stopped));
            }
        }
    }

    /// Goes on until the container has ended and everything was sent, or the client leaves.
    async fn follow(self, mut published: watch::Receiver<Published>) {
        let outcome = self.follow_to_the_end(&mut published).await;
        if let Err(error) = outcome {
            tracing::warn!(error = error.told(), "following a log failed");
        }
    }

    async fn follow_to_the_end(self, published: &mut watch::Receiver<Published>) -> Result<()> {
        let attempt = || format!("follow the log {}", self.path.display());
        let watch = match read::watch(&self.path) {
            Ok(watch) => Some(pollable::watch(watch).context(attempt)?),
            // A user has so many watches (`fs.inotify.max_user_instances`); whoever comes later is served by looking.
            Err(error) if error.raw_os_error() == Some(MFILE) => None,
            Err(error) => return Err(error).context(attempt),
        };
        let mut turn = self.open().await?;
        loop {
            // Looked at before reading: what was written before the end is read after it.
            let live = is_live(&published.borrow_and_update());
            let (read, stopped) = self.pour(turn).await?;
            turn = read;
            if stopped == Stopped::Over || !live {
                return Ok(());
            }
            tokio::select! {
                grown = wait_for_more(watch.as_ref()) => grown.context(|| "wait for a log to grow".into())?,
                _ = published.changed() => {}
                () = self.chunks.closed() => return Ok(()),
            }
        }
    }
}

async fn wait_for_more(watch: Option<&AsyncFd<Pollable<OwnedFd>>>) -> std::io::Result<()> {
    let Some(watch) = watch else {
        tokio::time::sleep(LOOKING).await;
        return Ok(());
    };
    let mut ready = watch.readable().await?;
    read::drain(&watch.get_ref().0)?;
    ready.clear_ready();
    Ok(())
}

/// Whether more may be written: a container not yet started has no log to wait for, as with Docker.
fn is_live(seen: &Published) -> bool {
    if seen.removed {
        return false;
    }
    match &seen.state {
        State::Running(_) | State::Paused(_) | State::Restarting(_) => true,
        State::Created(_) | State::Exited(_) | State::Removing(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            stream: Stream::Stderr,
            time: 1_000_000_000,
            line: b"hello\n".to_vec(),
            attributes: vec![("a".into(), "1".into())],
        }
    }

    #[test]
    fn entries_are_framed_unless_from_a_terminal() {
        let mut out = Vec::new();
        Form {
            tty: false,
            timestamps: false,
            details: false,
        }
        .write(&record(), &mut out);
        assert_eq!(out, b"\x02\0\0\0\0\0\0\x06hello\n");
        out.clear();
        Form {
            tty: true,
            timestamps: true,
            details: true,
        }
        .write(&record(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "1970-01-01T00:00:01.000000000Z a=1 hello\n"
        );
    }
}
