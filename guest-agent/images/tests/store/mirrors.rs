//! Mirrors of Docker Hub: the first that has an image serves it, under the hub's name.

use proa_images::{Error, Kind, Pulled, Reference, Settings, Store};

use crate::support::{Registry, Tar, folder};

/// An address where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn pull(mirrors: Vec<String>, name: &str) -> (tempfile::TempDir, Store, Result<Pulled, Error>) {
    let dir = folder();
    let settings = Settings {
        mirrors,
        ..Settings::default()
    };
    let store = Store::open(&dir.path().join("images"), settings).unwrap();
    let reference: Reference = name.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let pulled = runtime.block_on(store.pull(&reference, None, None, |_| {}));
    (dir, store, pulled)
}

#[test]
fn the_first_mirror_that_answers_and_has_the_image_serves_it() {
    let (empty, full) = (Registry::start(), Registry::start());
    let layer = Tar::new().file("from", b"the mirror").bytes();
    full.fill("library/mirrored:1", &[layer], &["gzip"]);
    let at = |registry: &Registry| format!("http://{}", registry.address);
    let mirrors = vec![nobody(), at(&empty), at(&full)];
    let (_dir, store, pulled) = pull(mirrors, "mirrored:1");
    assert!(pulled.unwrap().newer);
    let image = store.find("docker.io/library/mirrored:1").unwrap();
    let names = image.tags().iter().chain(image.digests());
    let names: Vec<String> = names.map(ToString::to_string).collect();
    let hub = |name: &String| name.starts_with("docker.io/library/mirrored");
    assert!(!names.is_empty() && names.iter().all(hub), "{names:?}");
}

#[test]
fn a_registry_with_a_name_of_its_own_has_no_mirror() {
    let (own, mirror) = (Registry::start(), Registry::start());
    let layer = |text: &str| vec![Tar::new().file("from", text.as_bytes()).bytes()];
    mirror.fill("org/app:1", &layer("the mirror"), &["gzip"]);
    let name = format!("{}/org/app:1", own.address);
    let (_dir, _store, pulled) = pull(vec![format!("http://{}", mirror.address)], &name);
    let refused = pulled.map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound, "{refused}");
}
