//! Upgraded streams between host and guest: frames of a length (big-endian u32) and as many bytes, so that the end of
//! one direction can be told on a transport that cannot close half of itself.
//!
//! ```text
//! request  … Upgrade: tcp, Proa-Stream: framed
//! answer   101, Proa-Stream: framed
//! then, either way:  00 00 00 05 h e l l o   00 00 00 00 (no more comes this way)
//! ```
//! A transport that ends without the frame of length zero was cut. In a tunnel of datagrams each frame is one; empty
//! ones cannot be told from the end and are not carried.

/// The header by which the host asks for frames and the guest agrees.
pub const NAME: &str = "proa-stream";
/// What the header says.
pub const VALUE: &str = "framed";
/// The length of a frame's header.
pub const HEADER: usize = 4;
/// The longest frame; whatever claims to be longer is no frame.
pub const LONGEST: usize = 1 << 20;
/// The frame after which nothing follows in its direction.
pub const END: [u8; HEADER] = [0; HEADER];

/// Bytes that are no frames.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Longer than any frame is.
    #[error("a frame of {0} bytes is longer than any may be")]
    TooLong(usize),
    /// Something follows the end.
    #[error("bytes follow the end of the stream")]
    AfterEnd,
}

/// What comes next in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Some bytes; never none.
    Bytes(&'a [u8]),
    /// The end of this direction.
    End,
}

/// The header of a frame of `len` bytes. Callers cut at [`LONGEST`].
pub fn header(len: usize) -> [u8; HEADER] {
    (len.min(LONGEST) as u32).to_be_bytes()
}

/// Takes a stream apart as it comes; frames need not be whole.
#[derive(Debug, Default)]
pub struct Decoder {
    /// What is missing of the current frame.
    missing: usize,
    ended: bool,
}

impl Decoder {
    /// Takes one piece off the front of `buf`. `Ok(None)` means "read more first"; the number is how much was used up.
    pub fn next<'a>(&mut self, buf: &'a [u8]) -> Result<Option<(Piece<'a>, usize)>, BadFrame> {
        if self.ended {
            return if buf.is_empty() {
                Ok(None)
            } else {
                Err(BadFrame::AfterEnd)
            };
        }
        let (missing, used) = match (self.missing, buf.split_first_chunk::<HEADER>()) {
            (0, None) => return Ok(None),
            (0, Some((length, _))) => (checked(*length)?, HEADER),
            (missing, _) => (missing, 0),
        };
        if missing == 0 {
            self.ended = true;
            return Ok(Some((Piece::End, used)));
        }
        let body = &buf[used..];
        let body = &body[..body.len().min(missing)];
        if body.is_empty() {
            // A header alone is read again together with the first byte, so that no piece is without bytes.
            return Ok(None);
        }
        self.missing = missing - body.len();
        Ok(Some((Piece::Bytes(body), used + body.len())))
    }

    /// Whether the end was seen.
    pub fn is_ended(&self) -> bool {
        self.ended
    }
}

/// Takes one whole frame off the front of `buf`: a datagram. `None` within is the end.
pub fn datagram(buf: &[u8]) -> Result<Option<(Option<&[u8]>, usize)>, BadFrame> {
    let Some((length, rest)) = buf.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = checked(*length)?;
    if length == 0 {
        return Ok(Some((None, HEADER)));
    }
    Ok(rest.get(..length).map(|body| (Some(body), HEADER + length)))
}

fn checked(length: [u8; HEADER]) -> Result<usize, BadFrame> {
    match u32::from_be_bytes(length) as usize {
        long if long > LONGEST => Err(BadFrame::TooLong(long)),
        length => Ok(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` to a decoder in parts of `size`, and tells what came out.
    fn told(bytes: &[u8], size: usize) -> Result<(Vec<u8>, bool), BadFrame> {
        let mut decoder = Decoder::default();
        let (mut buffer, mut out) = (Vec::new(), Vec::new());
        for part in bytes.chunks(size) {
            buffer.extend_from_slice(part);
            while let Some((piece, used)) = decoder.next(&buffer)? {
                if let Piece::Bytes(body) = piece {
                    out.extend_from_slice(body);
                }
                buffer.drain(..used);
            }
        }
        Ok((out, decoder.is_ended()))
    }

    fn framed(bodies: &[&[u8]]) -> Vec<u8> {
        bodies
            .iter()
            .flat_map(|body| [&header(body.len())[..], body].concat())
            .collect()
    }

    #[test]
    fn a_stream_comes_back_however_it_is_cut() {
        let bytes = [framed(&[b"hello", b"w", b"orld"]), END.to_vec()].concat();
        for size in 1..=bytes.len() {
            let expected = (b"helloworld".to_vec(), true);
            assert_eq!(told(&bytes, size), Ok(expected), "parts of {size}");
        }
    }

    #[test]
    fn a_stream_that_was_cut_has_no_end() {
        let bytes = framed(&[b"hello"]);
        assert_eq!(told(&bytes, 3), Ok((b"hello".to_vec(), false)));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let long = LONGEST + 1;
        let claim = (long as u32).to_be_bytes();
        assert_eq!(told(&claim, 4), Err(BadFrame::TooLong(long)));
        let after = [&END[..], b"x"].concat();
        assert_eq!(told(&after, 9), Err(BadFrame::AfterEnd));
    }

    #[test]
    fn a_datagram_is_a_whole_frame() {
        let bytes = framed(&[b"ping"]);
        for end in 0..bytes.len() {
            assert_eq!(datagram(&bytes[..end]), Ok(None), "{end} bytes");
        }
        assert_eq!(datagram(&bytes), Ok(Some((Some(&b"ping"[..]), 8))));
        assert_eq!(datagram(&END), Ok(Some((None, 4))));
    }
}
