//! Instructions that a commit or an import may change an image by, from any text: nothing panics, and what is taken can
//! be written down.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proa_images::{ContainerDefaults, changes};

fuzz_target!(|text: &str| {
    let mut config = ContainerDefaults {
        env: vec!["PATH=/bin:/usr/bin".to_owned(), "A=b".to_owned()],
        ..ContainerDefaults::default()
    };
    let _ = changes::apply(&mut config, [text]);
});
