//! Between a stream of this host, whose halves close one by one, and frames on the way to the machine.

use std::io;

use bytes::{Buf, BytesMut};
use proa_protocol::stream::frame::{self, Decoder, Piece};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How much is on the way in one direction at any time, beside what the sockets hold.
const ROOM: usize = 64 << 10;

/// Puts what comes from `here` into frames, and its end too.
pub(super) async fn pack(
    here: &mut (impl AsyncRead + Unpin),
    machine: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut buffer = vec![0; frame::HEADER + ROOM];
    loop {
        let count = here.read(&mut buffer[frame::HEADER..]).await?;
        // A length of zero is the end, in both languages.
        buffer[..frame::HEADER].copy_from_slice(&frame::header(count));
        machine.write_all(&buffer[..frame::HEADER + count]).await?;
        machine.flush().await?;
        if count == 0 {
            return Ok(());
        }
    }
}

/// Takes what comes from the machine out of its frames, up to the end. `here` is closed for writing then.
pub(super) async fn unpack(
    machine: &mut (impl AsyncRead + Unpin),
    here: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut buffer = BytesMut::new();
    loop {
        while let Some((piece, used)) = decoder.next(&buffer).map_err(io::Error::other)? {
            match piece {
                Piece::Bytes(bytes) => here.write_all(bytes).await?,
                Piece::End => return here.shutdown().await,
            }
            buffer.advance(used);
        }
        here.flush().await?;
        buffer.reserve(ROOM);
        if machine.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Carries a stream both ways until both directions have ended, or one broke. The far side may hang up once its own
/// direction has ended: what is sent to it then is lost, as with any socket.
pub(super) async fn both_ways(
    (mut here_from, mut here_to): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (mut from, mut to): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let outward = async {
        unpack(&mut from, &mut here_to).await?;
        // Nothing but the hang-up comes now.
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await
    };
    let mut outward = std::pin::pin!(outward);
    tokio::select! {
        ended = &mut outward => return ended.map(drop),
        ended = pack(&mut here_from, &mut to) => ended?,
    }
    outward.await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_is_carried_and_the_other_direction_goes_on() {
        let (near, user) = tokio::io::duplex(50);
        let (host, guest) = tokio::io::duplex(50);
        let relay =
            tokio::spawn(
                async move { both_ways(tokio::io::split(near), tokio::io::split(host)).await },
            );
        let (mut user_from, mut user_to) = tokio::io::split(user);
        let (mut from, mut to) = tokio::io::split(guest);
        let sent = vec![7; 10_000];
        let feeding = tokio::spawn(async move {
            user_to.write_all(&sent).await.expect("it is read");
            user_to.shutdown().await.expect("it is open");
            user_to
        });
        let mut got = Vec::new();
        unpack(&mut from, &mut got).await.expect("it ends well");
        assert_eq!(got, vec![7; 10_000]);
        pack(&mut &b"answer"[..], &mut to)
            .await
            .expect("it is read");
        let mut answer = String::new();
        user_from.read_to_string(&mut answer).await.expect("text");
        assert_eq!(answer, "answer");
        drop((from, to, feeding.await));
        relay.await.expect("no panic").expect("it ended well");
    }

    #[tokio::test]
    async fn a_cut_stream_is_an_error() {
        let mut got = Vec::new();
        let cut = unpack(&mut &b"\0\0\0\x03ab"[..], &mut got).await;
        assert!(cut.is_err_and(|e| e.kind() == io::ErrorKind::UnexpectedEof));
        assert_eq!(got, b"ab");
    }
}
