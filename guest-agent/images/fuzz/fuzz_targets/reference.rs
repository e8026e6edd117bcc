//! References, digests and platforms from any text: nothing panics, and what is read is written and read again as the
//! same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proa_images::{Digest, Platform, Reference};

fuzz_target!(|text: &str| {
    if let Ok(reference) = Reference::parse(text) {
        let whole = reference.to_string();
        assert_eq!(Reference::parse(&whole).as_ref(), Ok(&reference), "{whole}");
        let familiar = reference.familiar();
        assert_eq!(Reference::parse(&familiar).as_ref(), Ok(&reference), "{familiar}");
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    let _ = text.parse::<Platform>();
});
