//! What the engine, the keeper and the monitors say to each other, from any bytes: nothing panics, and what is read is
//! written and read again as the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proa_runtime::monitor::message::{Message, Request};
use proa_runtime::plan::{ExecPlan, Plan};
use serde::{Serialize, de::DeserializeOwned};

fn check<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    if let Ok(value) = postcard::from_bytes::<T>(bytes) {
        let once = postcard::to_allocvec(&value).expect("a message can be written");
        let again = postcard::from_bytes::<T>(&once).expect("and read");
        assert_eq!(postcard::to_allocvec(&again).expect("and written"), once);
    }
}

fuzz_target!(|bytes: &[u8]| {
    check::<Request>(bytes);
    check::<Message>(bytes);
    check::<Plan>(bytes);
    check::<ExecPlan>(bytes);
});
