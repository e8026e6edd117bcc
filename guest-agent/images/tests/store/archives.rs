//! Archives that other people's tools write and read.

use std::fs;

use proa_images::NewImage;

use crate::support::{Ground, Registry, Tar, archive, folder, layout, noise, run};

fn layers() -> Vec<Vec<u8>> {
    vec![
        Tar::new()
            .dir("etc", 0o755)
            .file("etc/one", &noise(300_000, 1))
            .bytes(),
        Tar::new()
            .file("etc/two", b"two")
            .symlink("three", "etc/one")
            .bytes(),
    ]
}

#[test]
fn saved_archives_are_read_by_skopeo_and_by_ourselves() {
    let ground = Ground::new();
    let image = ground.load("t/saved:1", &layers()).unwrap();
    ground
        .store
        .tag("t/saved:1", &"t/saved:2".parse().unwrap())
        .unwrap();
    let file = ground.dir.path().join("saved.tar");
    ground
        .store
        .save(&["t/saved".into()], fs::File::create(&file).unwrap())
        .unwrap();
    let text = run(
        "skopeo",
        &[
            "inspect",
            "--config",
            "--raw",
            &format!("docker-archive:{}", file.display()),
        ],
    );
    assert_eq!(text.trim().as_bytes(), image.raw_config());
    let layout = ground.dir.path().join("layout");
    fs::create_dir(&layout).unwrap();
    run(
        "tar",
        &[
            "-C",
            layout.to_str().unwrap(),
            "-xf",
            file.to_str().unwrap(),
        ],
    );
    run(
        "skopeo",
        &[
            "copy",
            "--quiet",
            &format!("oci:{}:1", layout.display()),
            &format!("dir:{}/dir", ground.dir.path().display()),
        ],
    );
    let other = Ground::new();
    let loaded = other
        .store
        .load(fs::File::open(&file).unwrap(), |_| {})
        .unwrap();
    assert_eq!(loaded[0].image.id(), image.id());
    assert_eq!(loaded[0].tags.len(), 2);
    // Once more brings nothing new and leaves nothing.
    other
        .store
        .load(fs::File::open(&file).unwrap(), |_| {})
        .unwrap();
    assert_eq!(other.left(), (2, 0));
}

#[test]
fn oci_layouts_of_skopeo_and_umoci_are_loaded() {
    let dir = folder();
    let source = dir.path().join("layout");
    layout(&source, &layers(), &["gzip", "cat"]);
    let with_zstd = dir.path().join("zstd.tar");
    run(
        "skopeo",
        &[
            "copy",
            "--quiet",
            "--dest-compress-format",
            "zstd",
            &format!("oci:{}:latest", source.display()),
            &format!("oci:{}/z:latest", dir.path().display()),
        ],
    );
    run(
        "tar",
        &[
            "-C",
            dir.path().join("z").to_str().unwrap(),
            "-czf",
            with_zstd.to_str().unwrap(),
            ".",
        ],
    );
    let umoci = dir.path().join("umoci");
    run(
        "sh",
        &[
            "-ec",
            "umoci init --layout $0; umoci new --image $0:made; umoci unpack --image $0:made $0-bundle; echo hi > $0-bundle/rootfs/hi; umoci repack --image $0:made $0-bundle; tar -C $0 -cf $0.tar .",
            umoci.to_str().unwrap(),
        ],
    );
    let ground = Ground::new();
    let first = ground
        .store
        .load(fs::File::open(&with_zstd).unwrap(), |_| {})
        .unwrap();
    assert_eq!(first[0].image.layers().len(), 2);
    let second = ground
        .store
        .load(
            fs::File::open(dir.path().join("umoci.tar")).unwrap(),
            |_| {},
        )
        .unwrap();
    assert_eq!(
        fs::read(second[0].image.lowers()[0].join("hi")).unwrap(),
        b"hi\n"
    );
}

#[test]
fn malformed_archives_are_refused() {
    let good = archive("t/a", &layers());
    let lacks = Tar::new()
        .file(
            "manifest.json",
            br#"[{"Config":"x.json","Layers":["a/layer.tar"]}]"#,
        )
        .bytes();
    let cases: [(&str, Vec<u8>); 5] = [
        ("nothing", Vec::new()),
        ("text", b"hello, this is no archive".repeat(50)),
        ("no manifest", Tar::new().file("a.json", b"{}").bytes()),
        ("a missing configuration", lacks),
        ("a cut", good[..good.len() / 2].to_vec()),
    ];
    for (name, bytes) in cases {
        let ground = Ground::new();
        let error = ground.store.load(bytes.as_slice(), |_| {}).expect_err(name);
        assert_eq!(ground.left(), (0, 0), "{name}: {error}");
    }
}

#[test]
fn an_embedded_image_is_seeded_once() {
    let ground = Ground::new();
    let bytes = archive("proa/hello", &layers());
    let image = ground.store.seed_embedded(&bytes).unwrap();
    assert_eq!(image.tags()[0].familiar(), "proa/hello:latest");
    let inode =
        |path: &std::path::Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&image.lowers()[0]);
    let ground = ground.reopen();
    let again = ground.store.seed_embedded(&bytes).unwrap();
    assert_eq!(inode(&again.lowers()[0]), before);
}

#[test]
fn an_import_makes_a_plain_image() {
    let ground = Ground::new();
    let new = NewImage {
        reference: Some("t/imported:x".parse().unwrap()),
        comment: "Imported from -".into(),
        ..NewImage::default()
    };
    let image = ground.store.import(layers()[0].as_slice(), new).unwrap();
    assert_eq!(image.tags()[0].familiar(), "t/imported:x");
    let history = ground.store.history("t/imported:x").unwrap();
    assert_eq!(
        (history.len(), history[0].size, history[0].id.as_ref()),
        (1, 300_000, Some(image.id()))
    );
    let registry = Registry::start();
    let name = format!("{}/imported:x", registry.address);
    ground
        .store
        .tag("t/imported:x", &name.parse().unwrap())
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(ground.store.push(&name.parse().unwrap(), None, |_| {}))
        .unwrap();
    run(
        "skopeo",
        &["inspect", "--tls-verify=false", &format!("docker://{name}")],
    );
}
