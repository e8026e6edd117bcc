//! The data disk: made, kept, grown, repaired, and left alone when it is nothing of ours.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::guest::{DiskFile, Guest};

/// So much of a disk's beginning is broken in these tests: the superblock is there, and what comes right behind it.
const BROKEN: usize = 16 << 10;

#[test]
fn what_a_machine_keeps_outlives_it_and_its_disk_grows() {
    let disk = DiskFile::new(1024);
    let guest = Guest::boot(&disk);
    let small = guest.health()["disk"]["total"].as_u64().unwrap();
    guest.docker(&["volume", "create", "kept"]).ok();
    let console = guest.shut_down();
    assert!(console.contains("proa: data disk formatted"), "{console}");
    assert!(console.contains("proa: off"), "{console}");

    disk.resize(2048);
    let guest = Guest::boot(&disk);
    let health = guest.health();
    assert_eq!(health["engine"], "running", "{health}");
    assert!(
        health["disk"]["total"].as_u64().unwrap() > small + (900 << 20),
        "{health}"
    );
    guest.docker(&["volume", "inspect", "kept"]).ok();
    let console = guest.shut_down();
    assert!(!console.contains("data disk formatted"), "{console}");

    let file = File::options().write(true).open(disk.path()).unwrap();
    file.write_all_at(&[0; BROKEN], 0).unwrap();
    let guest = Guest::boot(&disk);
    let health = guest.health();
    assert_eq!(
        health["disk"]["repaired"],
        true,
        "{health}\n{}",
        guest.console()
    );
    guest.docker(&["volume", "inspect", "kept"]).ok();
}

#[test]
fn a_disk_that_holds_something_else_is_told_and_left_alone() {
    let disk = DiskFile::new(512);
    let file = File::options()
        .read(true)
        .write(true)
        .open(disk.path())
        .unwrap();
    let words: Vec<u8> = b"somebody's only copy "
        .iter()
        .copied()
        .cycle()
        .take(1 << 20)
        .collect();
    file.write_all_at(&words, 0).unwrap();
    let guest = Guest::boot(&disk);
    let health = guest.health();
    assert_eq!(health["engine"], "degraded", "{health}");
    let fault = health["disk"]["fault"].as_str().unwrap();
    assert!(fault.contains("left as it is"), "{fault}");
    // It is of some use all the same.
    let said = guest
        .docker(&["run", "--rm", "--network", "none", "proa/hello"])
        .ok();
    assert!(said.contains("Hello from Proa"), "{said}");
    let console = guest.shut_down();
    assert!(console.contains("left as it is"), "{console}");
    let mut found = vec![0; words.len()];
    file.read_exact_at(&mut found, 0).unwrap();
    assert!(found == words, "the disk was written to");
}
