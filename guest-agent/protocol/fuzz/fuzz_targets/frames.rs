//! Framed streams from any bytes: decoding never panics, never uses more than there is, and whole datagrams agree with
//! the pieces of a stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proa_protocol::stream::frame::{Decoder, Piece, datagram};

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::default();
    let (mut rest, mut streamed) = (bytes, Vec::new());
    while let Ok(Some((piece, used))) = decoder.next(rest) {
        assert!(used > 0 && used <= rest.len());
        if let Piece::Bytes(body) = piece {
            assert!(!body.is_empty());
            streamed.extend_from_slice(body);
        }
        rest = &rest[used..];
    }
    let (mut rest, mut whole) = (bytes, Vec::new());
    while let Ok(Some((Some(body), used))) = datagram(rest) {
        whole.extend_from_slice(body);
        rest = &rest[used..];
    }
    assert!(streamed.starts_with(&whole));
});
