//! Frames from any bytes: decoding never panics, and what it decodes encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proa_protocol::stream::{decode, encode};

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Ok(Some((chunk, used))) = decode(rest) {
        assert!(used <= rest.len());
        let mut again = Vec::new();
        encode(chunk.stream, chunk.body, &mut again);
        assert!(chunk.body.is_empty() || again[8..] == rest[8..used]);
        rest = &rest[used..];
    }
});
