//! How stdout and stderr share one connection: frames of `[stream, 0, 0, 0, length as big-endian u32]` and the bytes.
//!
//! What carries such a connection between host and guest is in [`frame`].

pub mod frame;

/// Where a chunk comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Written by the client; the server never sends it.
    Stdin = 0,
    /// The process's standard output.
    Stdout = 1,
    /// The process's standard error.
    Stderr = 2,
    /// An error of the engine, after which the stream ends.
    System = 3,
}

/// A byte that names no stream.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unrecognized input header: {0}")]
pub struct BadStream(pub u8);

impl TryFrom<u8> for Stream {
    type Error = BadStream;
    fn try_from(byte: u8) -> Result<Self, BadStream> {
        Ok(match byte {
            0 => Stream::Stdin,
            1 => Stream::Stdout,
            2 => Stream::Stderr,
            3 => Stream::System,
            other => return Err(BadStream(other)),
        })
    }
}

/// A piece of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Whose bytes.
    pub stream: Stream,
    /// The bytes.
    pub body: &'a [u8],
}

/// The length of a frame's header.
pub const HEADER: usize = 8;

/// Takes one chunk off the front of `buf`. `Ok(None)` means "read more first"; the number is how much was used up.
pub fn decode(buf: &[u8]) -> Result<Option<(Chunk<'_>, usize)>, BadStream> {
    let Some(([stream, _, _, _, len @ ..], rest)) = buf.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let stream = Stream::try_from(*stream)?;
    let len = u32::from_be_bytes(*len) as usize;
    Ok(rest
        .get(..len)
        .map(|body| (Chunk { stream, body }, HEADER + len)))
}

/// The header of a frame of `len` bytes.
pub fn header(stream: Stream, len: u32) -> [u8; HEADER] {
    let [a, b, c, d] = len.to_be_bytes();
    [stream as u8, 0, 0, 0, a, b, c, d]
}

/// Appends `body` to `out` in frames.
pub fn encode(stream: Stream, body: &[u8], out: &mut Vec<u8>) {
    for body in body.chunks(u32::MAX as usize) {
        out.extend_from_slice(&header(stream, body.len() as u32));
        out.extend_from_slice(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_went_in() {
        for (stream, body) in [
            (Stream::Stdout, &b"out"[..]),
            (Stream::Stderr, b""),
            (Stream::System, b"x"),
        ] {
            let mut bytes = Vec::new();
            encode(stream, body, &mut bytes);
            bytes.extend_from_slice(b"rest");
            if body.is_empty() {
                assert_eq!(bytes, b"rest", "nothing to say, no frame");
                continue;
            }
            assert_eq!(
                decode(&bytes),
                Ok(Some((Chunk { stream, body }, HEADER + body.len())))
            );
        }
    }

    #[test]
    fn a_part_of_a_frame_asks_for_more() {
        let bytes = [1, 0, 0, 0, 0, 0, 0, 3, b'a', b'b'];
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn an_unknown_stream_is_refused() {
        assert_eq!(decode(&[9, 0, 0, 0, 0, 0, 0, 0]), Err(BadStream(9)));
    }
}
