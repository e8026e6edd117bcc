//! Layers from any bytes: nothing panics, nothing is made outside of the layer, and a layer that is taken can be
//! written again byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proa_images::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("memory");
    let layer = folder.path().join("layer");
    std::fs::create_dir(&layer).expect("an empty folder");
    if fuzzing::unpack(bytes, &layer) {
        let mut again = Vec::new();
        fuzzing::write_tar(&layer, &mut again).expect("what was unpacked can be packed");
        assert!(again == bytes, "a layer comes back as it was");
    }
    let beside = std::fs::read_dir(folder.path()).expect("the folder is there");
    assert_eq!(beside.count(), 1, "something was made outside");
});
