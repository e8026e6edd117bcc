//! Between blocking readers and writers of the engine and the asynchronous bodies of HTTP.

use std::io::{self, Read, Write};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

/// Pieces on their way at any time.
const DEPTH: usize = 8;
/// A writer's small pieces are gathered up to this size.
const PIECE: usize = 64 << 10;

/// A body to read from on a blocking thread.
pub(crate) struct Reader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

/// Makes a body readable. The body is read only as fast as the reader is.
pub(crate) fn reader(
    mut body: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
) -> Reader {
    let (sender, pieces) = mpsc::channel(DEPTH);
    tokio::spawn(async move {
        while let Some(piece) = body.next().await {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    Reader {
        pieces,
        current: Bytes::new(),
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let taken = buffer.len().min(self.current.len());
        buffer[..taken].copy_from_slice(&self.current.split_to(taken));
        Ok(taken)
    }
}

/// Pieces until something happens, which breaks them off with these words.
pub(crate) fn until(
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    end: impl Future<Output = ()> + Send + 'static,
    words: &'static str,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
    let start = (pieces, Box::pin(end));
    Box::pin(futures_util::stream::unfold(
        start,
        move |(mut pieces, mut end)| async move {
            tokio::select! {
                biased;
                () = &mut end => Some((Err(io::Error::other(words)), (pieces, end))),
                piece = pieces.next() => piece.map(|piece| (piece, (pieces, end))),
            }
        },
    ))
}

/// A body to write to on a blocking thread. Dropping it without [`Writer::finish`] breaks the answer off.
pub(crate) struct Writer {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    gathered: Vec<u8>,
    finished: bool,
}

/// A writer, and the stream of what is written.
pub(crate) fn writer() -> (
    Writer,
    impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
) {
    let (pieces, mut receiver) = mpsc::channel(DEPTH);
    let stream = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    (
        Writer {
            pieces,
            gathered: Vec::with_capacity(PIECE),
            finished: false,
        },
        stream,
    )
}

impl Writer {
    /// Sends what is still here; the answer is complete.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.finished = true;
        self.flush()
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE));
        self.pieces
            .blocking_send(Ok(piece.into()))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            // The client must not take what it has for the whole.
            let _ = self
                .pieces
                .try_send(Err(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}
