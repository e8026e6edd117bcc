//! Names, removal and pruning by Docker's rules.

use std::sync::atomic::{AtomicBool, Ordering};

use proa_images::{Digest, Error, Filters, HeldBy, Kind, RemoveOptions, Removed};

use crate::support::{Ground, Tar, eventually};

fn nobody(_: &Digest) -> Option<HeldBy> {
    None
}

fn layer(content: &str) -> Vec<u8> {
    Tar::new().file("file", content.as_bytes()).bytes()
}

const FORCE: RemoveOptions = RemoveOptions {
    force: true,
    keep_parents: false,
};

#[test]
fn images_are_found_by_name_id_and_prefix() {
    let ground = Ground::new();
    let one = ground.load("one:1", &[layer("1")]).unwrap();
    let two = ground.load("two", &[layer("2")]).unwrap();
    let find = |name: &str| ground.store.find(name).map(|image| image.id().clone());
    assert_eq!(find("one:1").unwrap(), *one.id());
    assert_eq!(find("docker.io/library/two:latest").unwrap(), *two.id());
    assert_eq!(find(one.id().as_str()).unwrap(), *one.id());
    assert_eq!(find(one.id().hex()).unwrap(), *one.id());
    assert_eq!(find(one.id().short()).unwrap(), *one.id());
    assert_eq!(
        find("one").unwrap_err().to_string(),
        "No such image: one:latest"
    );
    assert_eq!(find("nothing").unwrap_err().kind(), Kind::NotFound);
    assert_eq!(find("Bad").unwrap_err().kind(), Kind::BadParameter);
}

#[test]
fn removing_unties_names_first() {
    let ground = Ground::new();
    let image = ground.load("a:1", &[layer("1")]).unwrap();
    ground.store.tag("a:1", &"b:2".parse().unwrap()).unwrap();
    assert_eq!(ground.store.find("b:2").unwrap().tags().len(), 2);
    let removed = ground
        .store
        .remove("a:1", RemoveOptions::default(), &nobody)
        .unwrap();
    assert!(
        matches!(removed.as_slice(), [Removed::Untagged { reference, .. }] if reference.familiar() == "a:1")
    );
    let removed = ground
        .store
        .remove("b:2", RemoveOptions::default(), &nobody)
        .unwrap();
    assert!(matches!(removed[0], Removed::Untagged { .. }));
    assert_eq!(removed[1], Removed::Deleted(image.id().clone()));
    assert!(matches!(removed[2], Removed::DeletedLayer(_)));
    assert_eq!(ground.left().0, 0);
    assert!(
        ground
            .store
            .remove("b:2", RemoveOptions::default(), &nobody)
            .is_err()
    );
}

#[test]
fn images_in_use_are_refused_in_dockers_words() {
    let ground = Ground::new();
    let image = ground.load("a", &[layer("1")]).unwrap();
    let by = |running: bool| {
        move |_: &Digest| {
            Some(HeldBy {
                container: "0123456789abcdef".into(),
                running,
            })
        }
    };
    let short = image.id().short();
    let refused = |name: &str, options, running: bool| {
        ground
            .store
            .remove(name, options, &by(running))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused("a", RemoveOptions::default(), true),
        format!(
            "conflict: unable to remove repository reference \"a\" (must force) - container 0123456789ab is using its referenced image {short}"
        )
    );
    assert_eq!(
        refused(image.id().as_str(), FORCE, true),
        format!(
            "conflict: unable to delete {short} (cannot be forced) - image is being used by running container 0123456789ab"
        )
    );
    assert_eq!(
        refused(image.id().as_str(), RemoveOptions::default(), false),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is being used by stopped container 0123456789ab"
        )
    );
    ground.store.tag("a", &"b".parse().unwrap()).unwrap();
    let by_id = ground
        .store
        .remove(image.id().as_str(), RemoveOptions::default(), &nobody);
    assert_eq!(
        by_id.unwrap_err().to_string(),
        format!(
            "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    );
    assert_eq!(
        ground
            .store
            .remove(image.id().as_str(), FORCE, &nobody)
            .unwrap()
            .len(),
        4
    );
}

#[test]
fn a_held_image_keeps_its_layers() {
    let ground = Ground::new();
    let image = ground.load("a", &[layer("1")]).unwrap();
    let hold = ground.store.hold(image.id()).unwrap();
    ground.store.remove("a", FORCE, &nobody).unwrap();
    assert!(ground.store.find(image.id().as_str()).is_err());
    assert!(image.lowers()[0].join("file").exists());
    drop(hold);
    eventually("the layers go with the last hold", || ground.left().0 == 0);
    // A hold can be taken again after a restart, until somebody sweeps.
    let image = ground.load("a", &[layer("1")]).unwrap();
    let hold = ground.store.hold(image.id()).unwrap();
    ground.store.remove("a", FORCE, &nobody).unwrap();
    std::mem::forget(hold);
    let Ground { store, dir } = ground;
    // The forgotten hold keeps the store itself alive; a copy of its folder stands for the restart.
    let copy = dir.path().join("copy");
    crate::support::run(
        "cp",
        &[
            "-a",
            dir.path().join("images").to_str().unwrap(),
            copy.to_str().unwrap(),
        ],
    );
    let again = proa_images::Store::open(&copy, proa_images::Settings::default()).unwrap();
    let hold = again.hold(image.id()).unwrap();
    again.sweep().unwrap();
    assert_eq!(again.layers_size(), 1);
    drop(hold);
    assert_eq!(again.layers_size(), 0);
    drop(store);
}

#[test]
fn pruning_takes_untagged_images_or_all() {
    let ground = Ground::new();
    let old = ground.load("a", &[layer("1")]).unwrap();
    ground.load("a", &[layer("2")]).unwrap();
    let dangling = |value: &str| Filters(vec![("dangling".into(), value.into())]);
    let list = |filters: &Filters| ground.store.list(filters, false).unwrap().len();
    assert_eq!((list(&Filters::default()), list(&dangling("true"))), (2, 1));
    let kept = AtomicBool::new(true);
    let held = |id: &Digest| {
        let by = HeldBy {
            container: "c".into(),
            running: false,
        };
        (kept.load(Ordering::Relaxed) && id == old.id()).then_some(by)
    };
    assert!(
        ground
            .store
            .prune(&Filters::default(), &held)
            .unwrap()
            .removed
            .is_empty()
    );
    kept.store(false, Ordering::Relaxed);
    let pruned = ground.store.prune(&Filters::default(), &held).unwrap();
    assert_eq!((pruned.removed.len(), pruned.reclaimed), (2, 1));
    assert_eq!(
        ground
            .store
            .prune(&dangling("false"), &nobody)
            .unwrap()
            .removed
            .len(),
        3
    );
    assert_eq!(ground.left().0, 0);
}

#[test]
fn lists_are_filtered() {
    let ground = Ground::new();
    ground.load("alpine:3", &[layer("1")]).unwrap();
    ground.load("org/tool:1", &[layer("2")]).unwrap();
    let count = |key: &str, value: &str| {
        ground
            .store
            .list(&Filters(vec![(key.into(), value.into())]), false)
            .map(|l| l.len())
    };
    assert_eq!(count("reference", "alpine").unwrap(), 1);
    assert_eq!(count("reference", "*/*:1").unwrap(), 1);
    assert_eq!(count("reference", "al*:3").unwrap(), 1);
    assert_eq!(count("label", "kind=test").unwrap(), 2);
    assert_eq!(count("label", "kind=other").unwrap(), 0);
    assert_eq!(count("label!", "kind").unwrap(), 0);
    assert_eq!(count("until", "2026-01-01").unwrap(), 0);
    assert_eq!(count("until", "2026-02-01").unwrap(), 2);
    assert_eq!(count("before", "alpine:3").unwrap(), 0);
    assert!(matches!(
        count("nonsense", "1"),
        Err(Error::BadParameter(_))
    ));
}

#[test]
fn a_second_process_is_kept_out() {
    let ground = Ground::new();
    let error = proa_images::Store::open(&ground.images(), proa_images::Settings::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("lock"), "{error}");
}
