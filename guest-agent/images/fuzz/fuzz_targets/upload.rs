//! Archives that a client sends into a container, from any bytes: nothing panics, nothing is made outside of the root,
//! and no draft is left behind.
#![no_main]

use std::os::fd::AsFd;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use proa_images::files::{self, UnpackOptions};

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("memory");
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("place/sub")).expect("an empty folder");
    std::os::unix::fs::symlink("../../..", root.join("place/up")).expect("it is ours");
    let opened = std::fs::File::open(&root).expect("the folder is there");
    let options = UnpackOptions {
        place: "/place".into(),
        keep_kinds: bytes.first().is_some_and(|byte| byte & 1 == 1),
        ..UnpackOptions::default()
    };
    let _ = files::unpack(bytes, opened.as_fd(), &options);
    let beside = std::fs::read_dir(folder.path()).expect("the folder is there");
    assert_eq!(beside.count(), 1, "something was made outside");
    assert!(!holds_draft(&root, 0), "a draft was left behind");
});

fn holds_draft(folder: &Path, depth: u32) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let name = entry.file_name();
        let is_draft = name.to_string_lossy().starts_with(&format!(".proa-{}-", std::process::id()));
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_draft || (is_folder && depth < 50 && holds_draft(&entry.path(), depth + 1))
    })
}
