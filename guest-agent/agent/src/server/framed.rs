//! A reader and a writer over frames: the end of one direction is a frame, and the transport stays whole.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use proa_protocol::stream::frame::{self, Decoder, Piece};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Room for what was read and not yet asked for, and for what was written and not yet sent.
const ROOM: usize = 64 << 10;

/// What is in the frames of a transport.
pub(crate) struct FramedReader<R> {
    transport: R,
    decoder: Decoder,
    buffer: BytesMut,
    /// How much at the front of the buffer is out of its frame.
    bare: usize,
}

impl<R> FramedReader<R> {
    pub(crate) fn new(transport: R) -> Self {
        Self {
            transport,
            decoder: Decoder::default(),
            buffer: BytesMut::new(),
            bare: 0,
        }
    }

    /// Takes the next bytes out of their frame; false where more must be read first.
    fn unpack(&mut self) -> io::Result<bool> {
        if self.bare == 0 {
            let next = self.decoder.next(&self.buffer).map_err(io::Error::other)?;
            let Some((piece, used)) = next else {
                return Ok(self.decoder.is_ended());
            };
            self.bare = match piece {
                Piece::Bytes(bytes) => bytes.len(),
                Piece::End => 0,
            };
            self.buffer.advance(used - self.bare);
        }
        Ok(true)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for FramedReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.unpack()? {
            this.buffer.reserve(ROOM);
            let read = std::pin::pin!(tokio::io::AsyncReadExt::read_buf(
                &mut this.transport,
                &mut this.buffer
            ));
            if ready!(read.poll(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let fits = this.bare.min(out.remaining());
        out.put_slice(&this.buffer[..fits]);
        this.buffer.advance(fits);
        this.bare -= fits;
        Poll::Ready(Ok(()))
    }
}

/// Puts into frames what is written.
pub(crate) struct FramedWriter<W> {
    transport: W,
    unsent: BytesMut,
    ended: bool,
}

impl<W: AsyncWrite + Unpin> FramedWriter<W> {
    pub(crate) fn new(transport: W) -> Self {
        Self {
            transport,
            unsent: BytesMut::new(),
            ended: false,
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut self.transport).poll_write(cx, &self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for FramedWriter<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        let taken = &bytes[..bytes.len().min(ROOM)];
        if !taken.is_empty() {
            self.unsent.extend_from_slice(&frame::header(taken.len()));
            self.unsent.extend_from_slice(taken);
            // What the transport does not take now goes out with the flush.
            if let Poll::Ready(Err(e)) = self.poll_send(cx) {
                return Poll::Ready(Err(e));
            }
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    /// Sends the end. The transport is left open: there are some whose other direction would be lost with it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            self.ended = true;
            self.unsent.extend_from_slice(&frame::END);
        }
        self.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn both_ends_carry_bytes_and_the_end_through_a_narrow_pipe() {
        let (near, far) = tokio::io::duplex(37);
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let sent = bytes.clone();
        let writer = tokio::spawn(async move {
            let mut writer = FramedWriter::new(near);
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
            writer
        });
        let mut reader = FramedReader::new(far);
        let mut read = Vec::new();
        reader.read_to_end(&mut read).await.unwrap();
        assert!(read == bytes, "{} of {} bytes", read.len(), bytes.len());
        drop(writer.await.unwrap());
    }

    #[tokio::test]
    async fn a_transport_that_is_cut_is_no_end() {
        let mut reader = FramedReader::new(&b"\0\0\0\x05hel"[..]);
        let mut read = Vec::new();
        let error = reader.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read, b"hel");
    }
}
