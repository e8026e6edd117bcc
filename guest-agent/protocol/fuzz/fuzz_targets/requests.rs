//! Documents from any bytes: what a request's body is read as is written and read again as the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proa_protocol::{ContainerCreateBody, ContainerUpdateBody, ExecCreateBody, VolumeCreateBody};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(body) = ContainerCreateBody::from_json(bytes) {
        let again = serde_json::to_vec(&body).expect("a document can be written");
        assert_eq!(ContainerCreateBody::from_json(&again).expect("and read"), body);
    }
    let _ = serde_json::from_slice::<ContainerUpdateBody>(bytes);
    let _ = serde_json::from_slice::<ExecCreateBody>(bytes);
    let _ = serde_json::from_slice::<VolumeCreateBody>(bytes);
});
