//! Queries, filters, times and credentials from any text: nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proa_protocol::{Filters, Query, auth, timestamp};

fuzz_target!(|text: &str| {
    let query = Query::parse(text);
    let _ = query.truth("a");
    let _ = query.number("a");
    if let Ok(filters) = Filters::from_json(text) {
        let _ = filters.truth("dangling");
    }
    let _ = auth::decode(text);
    let _ = timestamp::parse(text, timestamp::EPOCH);
});
