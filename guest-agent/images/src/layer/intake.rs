//! One stream per layer: blob bytes → blob digest → decompress → diff id → files.
//!
//! ```text
//!  feeder ──Bytes──▶ thread "inflate" ──256 KiB buffers──▶ thread "unpack"
//!                     sha256 of the blob                    sha256 of the tar, extractor
//! ```
//! Both channels are bounded, so a slow disk slows the network down and memory stays small. Nothing appears in the
//! store before both digests are verified; whatever fails, the half-made directory goes with its owner.

use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as std_mpsc;
use std::thread;

use bytes::{Buf, Bytes};
use tokio::sync::{mpsc, oneshot};

use super::{Incoming, LayerError, unpack};
use crate::digest::{DiffId, Digest, Hasher};

/// Chunks of the blob on their way to the inflating thread.
const BLOB_CHUNKS: usize = 32;
/// Uncompressed buffers on their way to the unpacking thread.
const TAR_BUFFERS: usize = 4;
const BUFFER: usize = 256 << 10;

/// What is known of a layer before it comes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) blob: Option<Digest>,
    pub(crate) diff: Option<DiffId>,
}

/// A layer that came whole and is what it should be. Its directory is removed unless somebody keeps it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) dir: Incoming,
    pub(crate) diff: DiffId,
    pub(crate) tar_size: u64,
    /// Bytes of its files.
    pub(crate) size: u64,
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// Where a layer's bytes go in. Dropping it without [`Feed::end`] throws the layer away.
pub(crate) struct Feed(mpsc::Sender<Piece>);

/// The other side stopped listening; [`Intake`] says why.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Feed {
    pub(crate) async fn send(&self, bytes: Bytes) -> Result<(), Stopped> {
        self.0.send(Piece::Bytes(bytes)).await.map_err(|_| Stopped)
    }

    pub(crate) async fn end(self) -> Result<(), Stopped> {
        self.0.send(Piece::End).await.map_err(|_| Stopped)
    }

    pub(crate) fn blocking_send(&self, bytes: Bytes) -> Result<(), Stopped> {
        self.0
            .blocking_send(Piece::Bytes(bytes))
            .map_err(|_| Stopped)
    }

    pub(crate) fn blocking_end(self) -> Result<(), Stopped> {
        self.0.blocking_send(Piece::End).map_err(|_| Stopped)
    }
}

/// Where the layer comes out.
pub(crate) struct Intake {
    outcome: oneshot::Receiver<Result<Received, LayerError>>,
    consumed: Arc<AtomicU64>,
}

impl Intake {
    /// Counts the blob's bytes that are unpacked.
    pub(crate) fn consumed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.consumed)
    }

    pub(crate) async fn outcome(self) -> Result<Received, LayerError> {
        self.outcome.await.unwrap_or(Err(LayerError::Cut))
    }

    pub(crate) fn blocking_outcome(self) -> Result<Received, LayerError> {
        self.outcome.blocking_recv().unwrap_or(Err(LayerError::Cut))
    }
}

/// Starts taking a layer in, beneath the folder `incoming`.
pub(crate) fn intake(incoming: &Path, expected: Expected) -> io::Result<(Feed, Intake)> {
    let dir = tempfile::Builder::new()
        .prefix("layer-")
        .tempdir_in(incoming)?;
    let dir = Incoming::new(dir);
    let (feed, blob) = mpsc::channel(BLOB_CHUNKS);
    let (tell, outcome) = oneshot::channel();
    let consumed = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&consumed);
    let (full, tar) = std_mpsc::sync_channel(TAR_BUFFERS);
    let (empty, spare) = std_mpsc::sync_channel(TAR_BUFFERS + 2);
    let wanted = expected.blob.clone();
    let inflating = thread::Builder::new()
        .name("inflate".into())
        .stack_size(512 << 10)
        .spawn(move || {
            let mut blob = Blob {
                pieces: blob,
                now: Bytes::new(),
                ended: false,
                hasher: Hasher::default(),
                count,
            };
            let outcome = inflate(&mut blob, &full, &spare);
            blob.verified(outcome, wanted)
        })?;
    thread::Builder::new()
        .name("unpack".into())
        .stack_size(512 << 10)
        .spawn(move || {
            let mut tar = Tar {
                full: tar,
                empty,
                now: Vec::new(),
                at: 0,
                ended: false,
                hasher: Hasher::default(),
                size: 0,
            };
            let unpacked = unpack::unpack(&mut tar, dir.path());
            if matches!(unpacked, Err(LayerError::Malformed(_))) {
                // The blob's digest tells whether the layer is bad or the transfer was.
                drop(io::copy(&mut tar, &mut io::sink()));
            }
            let received = finish(unpacked, tar, inflating, dir, &expected);
            drop(tell.send(received));
        })?;
    Ok((Feed(feed), Intake { outcome, consumed }))
}

type Inflating = thread::JoinHandle<Result<(), LayerError>>;

fn finish(
    unpacked: Result<unpack::Unpacked, LayerError>,
    tar: Tar,
    inflating: Inflating,
    dir: Incoming,
    expected: &Expected,
) -> Result<Received, LayerError> {
    let Tar {
        full,
        empty,
        hasher,
        size: tar_size,
        ..
    } = tar;
    // The inflating thread must not wait for us while we wait for it.
    drop((full, empty));
    let inflated = inflating.join().unwrap_or(Err(LayerError::Cut));
    // A corrupt blob explains whatever else went wrong.
    let unpacked = match (unpacked, inflated) {
        (_, Err(corrupt @ LayerError::Corrupt(_))) => return Err(corrupt),
        (Err(error), _) | (Ok(_), Err(error)) => return Err(error),
        (Ok(unpacked), Ok(())) => unpacked,
    };
    let unpack::Unpacked { size } = unpacked;
    let diff = DiffId(hasher.finish());
    match &expected.diff {
        Some(wanted) if *wanted != diff => Err(LayerError::WrongDiffId {
            wanted: wanted.0.clone(),
            found: diff.0,
        }),
        _ => Ok(Received {
            dir,
            diff,
            tar_size,
            size,
        }),
    }
}

/// The blob as a stream that hashes what goes by.
struct Blob {
    pieces: mpsc::Receiver<Piece>,
    now: Bytes,
    ended: bool,
    hasher: Hasher,
    count: Arc<AtomicU64>,
}

impl Blob {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.ended {
            return Ok(None);
        }
        match self.pieces.blocking_recv() {
            Some(Piece::Bytes(bytes)) => {
                self.hasher.update(&bytes);
                Ok(Some(bytes))
            }
            Some(Piece::End) => {
                self.ended = true;
                Ok(None)
            }
            None => Err(io::Error::other(LayerError::Cut)),
        }
    }

    /// The first bytes, which tell the compression.
    fn magic(&mut self) -> io::Result<[u8; 4]> {
        let mut start = Vec::new();
        while start.len() < 4 {
            match self.next()? {
                Some(bytes) => start.extend_from_slice(&bytes),
                None => break,
            }
        }
        let mut magic = [0; 4];
        let length = start.len().min(4);
        magic[..length].copy_from_slice(&start[..length]);
        self.now = Bytes::from(start);
        Ok(magic)
    }

    /// Reads the rest, and says what the whole was. A wrong digest is the better explanation of a broken stream.
    fn verified(
        mut self,
        inflated: io::Result<()>,
        wanted: Option<Digest>,
    ) -> Result<(), LayerError> {
        let abandoned = inflated.as_ref().is_err_and(is_cut);
        if abandoned {
            return Err(LayerError::Cut);
        }
        let rest = loop {
            match self.next() {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let digest = self.hasher.finish();
        match (rest, inflated, wanted) {
            (Ok(()), _, Some(wanted)) if wanted != digest => Err(LayerError::Corrupt(wanted)),
            (Err(error), _, _) | (Ok(()), Err(error), _) => Err(from_stream(error)),
            (Ok(()), Ok(()), _) => Ok(()),
        }
    }
}

fn is_cut(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(LayerError::Cut))
}

fn from_stream(error: io::Error) -> LayerError {
    error
        .downcast::<LayerError>()
        .unwrap_or_else(LayerError::Compression)
}

impl Read for Blob {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let buffer = self.fill_buf()?;
        let length = buffer.len().min(into.len());
        into[..length].copy_from_slice(&buffer[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Blob {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.now.is_empty() {
            match self.next()? {
                Some(bytes) => self.now = bytes,
                None => break,
            }
        }
        Ok(&self.now)
    }

    fn consume(&mut self, amount: usize) {
        self.now.advance(amount);
        self.count.fetch_add(amount as u64, Ordering::Relaxed);
    }
}

type Buffers = std_mpsc::SyncSender<io::Result<Vec<u8>>>;

fn inflate(blob: &mut Blob, full: &Buffers, spare: &std_mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let outcome = match blob.magic() {
        Ok([0x1f, 0x8b, ..]) => pour(
            flate2::bufread::MultiGzDecoder::new(&mut *blob),
            full,
            spare,
        ),
        Ok(magic) if is_zstd(magic) => {
            zstd::Decoder::with_buffer(&mut *blob).and_then(|decoder| pour(decoder, full, spare))
        }
        Ok(_) => pour(&mut *blob, full, spare),
        Err(error) => Err(error),
    };
    outcome.inspect_err(|error| {
        // The unpacking side reads this as its stream's error; ours has the cause.
        drop(full.send(Err(io::Error::other(error.to_string()))));
    })
}

/// A zstd frame, or a skippable one in front of it.
fn is_zstd(magic: [u8; 4]) -> bool {
    let magic = u32::from_le_bytes(magic);
    magic == 0xfd2f_b528 || (0x184d_2a50..=0x184d_2a5f).contains(&magic)
}

fn pour(
    mut from: impl Read,
    full: &Buffers,
    spare: &std_mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    loop {
        let mut buffer = spare.try_recv().unwrap_or_default();
        buffer.resize(BUFFER, 0);
        let mut filled = 0;
        while filled < BUFFER {
            match from.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        if filled == 0 {
            return Ok(());
        }
        // An unpacking thread that gave up has its own reason.
        full.send(Ok(buffer))
            .map_err(|_| io::Error::other(LayerError::Cut))?;
    }
}

/// The tar as a stream that hashes what goes by.
struct Tar {
    full: std_mpsc::Receiver<io::Result<Vec<u8>>>,
    empty: std_mpsc::SyncSender<Vec<u8>>,
    now: Vec<u8>,
    at: usize,
    ended: bool,
    hasher: Hasher,
    size: u64,
}

impl Read for Tar {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let buffer = self.fill_buf()?;
        let length = buffer.len().min(into.len());
        into[..length].copy_from_slice(&buffer[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Tar {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.now.len() && !self.ended {
            drop(self.empty.try_send(std::mem::take(&mut self.now)));
            self.at = 0;
            match self.full.recv() {
                Ok(buffer) => self.now = buffer?,
                Err(_) => self.ended = true,
            }
            self.hasher.update(&self.now);
            self.size += self.now.len() as u64;
        }
        Ok(&self.now[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}
