//! Layers: what real tars hold, what layers say of each other, and what hostile ones try.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use proa_images::{Digest, Error, Kind, NewImage};
use tar::EntryType;

use crate::support::{Ground, Merged, Tar, folder, noise, run};

/// A tree with everything that layers may hold.
const TREE: &str = r#"
    mkdir -p d/sub 'd/with space' d/sticky
    printf hello > d/file; printf x > d/setuid; chmod 4755 d/setuid; chmod 1777 d/sticky
    ln d/file d/sub/hard; ln -s ../file d/sub/soft; ln -s /absolute/nowhere d/dangling
    mkfifo d/fifo; mknod d/null c 1 3; mknod d/loop b 7 0
    chown 1000:2000 d/file; chown 3000000:4000000 d/setuid; chown -h 5:6 d/dangling
    l=$(printf 'n%.0s' $(seq 1 120)); mkdir -p d/$l/$l; printf long > d/$l/$l/$l; ln -s $l/$l/$l d/longlink
    setfattr -n user.test -v value d/file; setfattr -n trusted.test -v deep d/sub
    setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 d/sub/hard
    truncate -s 3G d/sparse; printf middle | dd of=d/sparse bs=1 seek=2200000000 conv=notrunc 2>/dev/null
    : > d/empty; printf 'umlaut' > "d/$(printf '\303\244')"
    touch -d '2001-02-03 04:05:06.789012345 UTC' d/file d/sub d; touch -h -d '1999-01-01 UTC' d/sub/soft
    touch -d '1960-01-01 UTC' d/empty
"#;

/// Names, kinds, modes, owners, sizes, links and, if the format has them, exact times.
fn facts(dir: &Path, exact: bool) -> Vec<String> {
    let time = if exact { "%T@" } else { "%Ts" };
    let format = format!("%P|%y|%m|%U:%G|%s|%l|%n|{time}\n");
    let text = run(
        "find",
        &[dir.to_str().unwrap(), "-mindepth", "1", "-printf", &format],
    );
    // A directory's size is the file system's affair.
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut parts: Vec<&str> = line.split('|').collect();
            if parts[1] == "d" {
                parts[4] = "";
                parts[6] = "";
            }
            parts.join("|")
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn tars_of_all_formats_unpack_to_the_same_files() {
    let source = folder();
    run(
        "sh",
        &["-ec", &format!("cd {}; {TREE}", source.path().display())],
    );
    let formats: [(&str, &[&str]); 6] = [
        ("gnu", &["--format=gnu"]),
        ("gnu sparse", &["--format=gnu", "--sparse"]),
        ("pax", &["--format=posix", "--xattrs", "--xattrs-include=*"]),
        (
            "pax sparse 0.0",
            &[
                "--format=posix",
                "--sparse",
                "--sparse-version=0.0",
                "--xattrs",
                "--xattrs-include=*",
            ],
        ),
        (
            "pax sparse 0.1",
            &[
                "--format=posix",
                "--sparse",
                "--sparse-version=0.1",
                "--xattrs",
                "--xattrs-include=*",
            ],
        ),
        (
            "pax sparse 1.0",
            &[
                "--format=posix",
                "--sparse",
                "--sparse-version=1.0",
                "--xattrs",
                "--xattrs-include=*",
            ],
        ),
    ];
    for (name, options) in formats {
        let sparse = name.contains("sparse");
        let tar = source.path().join("t.tar");
        let (from, to) = (
            source.path().to_str().unwrap().to_owned(),
            tar.to_str().unwrap().to_owned(),
        );
        let mut arguments = vec!["-C", &from, "-cf", &to];
        arguments.extend(options);
        // Three gigabytes of zeros are worth one format only where they take no room.
        if !sparse {
            arguments.push("--exclude=d/sparse");
        }
        arguments.push("d");
        run("tar", &arguments);
        let ground = Ground::new();
        let image = ground
            .store
            .import(fs::File::open(&tar).unwrap(), NewImage::default())
            .unwrap();
        let layer = &image.lowers()[0];
        let pax = name.starts_with("pax");
        let mut want = facts(source.path(), pax);
        want.retain(|line| {
            !line.starts_with("t.tar") && (sparse || !line.starts_with("d/sparse|"))
        });
        assert_eq!(facts(layer, pax), want, "{name}");
        let inodes = |path: &str| fs::metadata(layer.join(path)).unwrap().ino();
        assert_eq!(inodes("d/file"), inodes("d/sub/hard"), "{name}");
        if sparse {
            let sparse = fs::metadata(layer.join("d/sparse")).unwrap();
            assert!(
                sparse.blocks() * 512 < 1 << 20,
                "{name}: the holes were filled"
            );
            let at = "dd if=$0 bs=1 skip=2200000000 count=6 2>/dev/null";
            assert_eq!(
                run("sh", &["-c", at, layer.join("d/sparse").to_str().unwrap()]),
                "middle",
                "{name}"
            );
        }
        if pax {
            let attributes = run(
                "getfattr",
                &[
                    "--absolute-names",
                    "-d",
                    "-m-",
                    layer.join("d/sub/hard").to_str().unwrap(),
                ],
            );
            assert!(
                attributes.contains("user.test=\"value\""),
                "{name}: {attributes}"
            );
            assert!(
                attributes.contains("security.capability="),
                "{name}: {attributes}"
            );
        }
        // The exact tar comes back: saving checks its digest.
        ground
            .store
            .save(&[image.id().to_string()], std::io::sink())
            .unwrap();
    }
}

#[test]
fn whiteouts_delete_what_is_beneath() {
    let ground = Ground::new();
    let base = Tar::new()
        .dir("a", 0o755)
        .file("a/gone", b"1")
        .file("a/kept", b"1")
        .dir("o", 0o755)
        .file("o/hidden", b"1")
        .dir("r", 0o755)
        .file("r/old", b"1")
        .dir("w", 0o755)
        .file("w/old", b"1")
        .bytes();
    let top = Tar::new()
        .file("a/.wh.gone", b"")
        .dir("o", 0o700)
        .file("o/.wh..wh..opq", b"")
        .file("o/new", b"2")
        .file(".wh.r", b"")
        .dir("r", 0o755)
        .file("r/new", b"2")
        .dir("w", 0o755)
        .file("w/new", b"2")
        .file(".wh.w", b"")
        .file(".wh..wh.plnk", b"")
        .bytes();
    let image = ground.load("t/whiteouts", &[base, top]).unwrap();
    let merged = Merged::mount(&image);
    for (path, there) in [
        ("a/gone", false),
        ("a/kept", true),
        ("o/hidden", false),
        ("o/new", true),
        ("r/old", false),
        ("r/new", true),
        ("w/old", false),
        ("w/new", true),
        (".wh..wh.plnk", false),
    ] {
        assert_eq!(merged.path(path).exists(), there, "{path}");
    }
    drop(merged);
    ground
        .store
        .save(&["t/whiteouts".into()], std::io::sink())
        .unwrap();
}

#[test]
fn what_layers_imply_is_settled() {
    let ground = Ground::new();
    let base = Tar::new()
        .dir("tmp", 0o1777)
        .dir("etc", 0o755)
        .dir("etc/deep", 0o711)
        .file("etc/conf", b"content")
        .dir("private", 0o700)
        .bytes();
    let middle = Tar::new().dir("private", 0o750).file("other", b"").bytes();
    let top = Tar::new()
        .file("tmp/file", b"x")
        .file("etc/deep/er/file", b"x")
        .file("private/x", b"x")
        .hard_link("etc/alias", "etc/conf")
        .hard_link("gone", "other")
        .file("fresh/file", b"x")
        .bytes();
    let last = Tar::new().file(".wh.gone", b"").bytes();
    let image = ground
        .load("t/implied", &[base, middle, top, last])
        .unwrap();
    let merged = Merged::mount(&image);
    let mode = |path: &str| {
        fs::metadata(merged.path(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(mode("tmp"), 0o1777);
    assert_eq!(mode("etc/deep"), 0o711);
    assert_eq!(mode("etc/deep/er"), 0o755);
    assert_eq!(mode("private"), 0o750);
    assert_eq!(mode("fresh"), 0o755);
    assert_eq!(
        fs::metadata(merged.path("tmp")).unwrap().mtime(),
        1_700_000_000
    );
    assert_eq!(fs::read(merged.path("etc/alias")).unwrap(), b"content");
    let inode = |path: &str| fs::metadata(merged.path(path)).unwrap().ino();
    assert_eq!(inode("etc/alias"), inode("etc/conf"));
    assert!(!merged.path("gone").exists());
    drop(merged);
    // The same after a restart, and the fix-up goes with the image.
    let ground = ground.reopen();
    assert_eq!(
        ground.store.find("t/implied").unwrap().lowers(),
        image.lowers()
    );
    assert!(image.lowers()[0].starts_with(ground.images().join("fixups")));
    ground
        .store
        .remove("t/implied", proa_images::RemoveOptions::default(), &|_| {
            None
        })
        .unwrap();
    assert!(!image.lowers()[0].exists());
}

#[test]
fn a_hard_link_to_nothing_is_refused() {
    let ground = Ground::new();
    let layers = [
        Tar::new().file("a", b"").bytes(),
        Tar::new().hard_link("b", "nowhere").bytes(),
    ];
    let error = ground.load("t/bad", &layers).unwrap_err();
    assert!(format!("{error:?}").contains("nowhere"), "{error:?}");
    assert!(ground.store.find("t/bad").is_err());
}

#[test]
fn what_a_layer_overwrites_itself_comes_back_exactly() {
    let ground = Ground::new();
    let layer = Tar::new()
        .file("twice", b"first")
        .hard_link("link", "twice")
        .file("twice", b"second")
        .dir("d", 0o755)
        .file("d/inner", b"inner")
        .symlink("d", "elsewhere")
        .file("d2/x", b"implied parent")
        .file("twice", b"third")
        .file("tree/a/b", b"1")
        .file("tree/a/b", b"2")
        .file("tree", b"now a file")
        .entry(EntryType::Char, "node", "", 0o600, b"")
        .entry(EntryType::Fifo, "node", "", 0o600, b"")
        .bytes();
    let image = ground
        .load("t/twice", std::slice::from_ref(&layer))
        .unwrap();
    let fs_of = image.lowers()[0].clone();
    assert_eq!(fs::read(fs_of.join("twice")).unwrap(), b"third");
    assert_eq!(fs::read(fs_of.join("link")).unwrap(), b"first");
    assert_eq!(
        fs::read_link(fs_of.join("d")).unwrap(),
        Path::new("elsewhere")
    );
    assert_eq!(fs::read(fs_of.join("tree")).unwrap(), b"now a file");
    assert!(
        fs::symlink_metadata(fs_of.join("node"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    let mut saved = Vec::new();
    ground.store.save(&["t/twice".into()], &mut saved).unwrap();
    let found = saved.windows(layer.len()).any(|window| window == layer);
    assert!(found, "the layer is not in the archive byte for byte");
}

#[test]
fn hostile_names_stay_inside() {
    let outside = folder();
    let target = outside.path().join("target");
    let victim = target.to_str().unwrap();
    let refused = [
        ("parent", Tar::new().file("../escape", b"x")),
        ("hidden parent", Tar::new().file("a/../../escape", b"x")),
        (
            "link to a parent",
            Tar::new().hard_link("a", "../../etc/passwd"),
        ),
        ("whiteout of nothing", Tar::new().file("a/.wh.", b"")),
        ("whiteout of itself", Tar::new().file("a/.wh..", b"")),
        ("whiteout of the parent", Tar::new().file("a/.wh...", b"")),
        (
            "loop",
            Tar::new()
                .symlink("a", "b")
                .symlink("b", "a")
                .file("a/x", b"x"),
        ),
        (
            "file as folder",
            Tar::new().file("a", b"x").file("a/b", b"x"),
        ),
        (
            "long name",
            Tar::new()
                .file(&format!("{0}/{0}", "x".repeat(300)).as_str()[..99], b"")
                .dir(&"y/".repeat(49), 0o755)
                .entry(EntryType::XGlobalHeader, "g", "", 0, &noise(2000, 1))
                .entry(EntryType::GNULongName, "l", "", 0, &vec![b'a'; 5000])
                .file("short", b""),
        ),
    ];
    for (name, tar) in refused {
        let ground = Ground::new();
        let error = ground.load("t/hostile", &[tar.bytes()]).expect_err(name);
        assert!(
            matches!(error.kind(), Kind::BadParameter | Kind::Internal),
            "{name}: {error:?}"
        );
        assert_eq!(ground.left(), (0, 0), "{name} left something behind");
    }
    let confined = [
        ("absolute", Tar::new().file("/absolute", b"x"), "absolute"),
        (
            "parent of the root",
            Tar::new().file("/../../rooted", b"x"),
            "rooted",
        ),
        (
            "link out, then through it",
            Tar::new().symlink("out", "/").file("out/through", b"x"),
            "through",
        ),
        (
            "relative link out",
            Tar::new()
                .dir("a", 0o755)
                .symlink("a/up", "../../../..")
                .file("a/up/through", b"x"),
            "through",
        ),
        (
            "link replaced",
            Tar::new().symlink("l", "/etc").file("l", b"x"),
            "l",
        ),
    ];
    for (name, tar, lands) in confined {
        let ground = Ground::new();
        let image = ground
            .load("t/hostile", &[tar.bytes()])
            .unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(
            fs::read(image.lowers()[0].join(lands)).unwrap(),
            b"x",
            "{name}"
        );
    }
    let ground = Ground::new();
    let deep = victim.trim_start_matches('/');
    let tar = Tar::new()
        .symlink("s", outside.path().to_str().unwrap())
        .file("s/target", b"x")
        .file(&format!("/{deep}2"), b"x");
    ground.load("t/hostile", &[tar.bytes()]).unwrap();
    assert_eq!(
        fs::read_dir(outside.path()).unwrap().count(),
        0,
        "something was written outside"
    );
}

#[test]
fn broken_and_bomb_like_layers_are_refused() {
    let good = Tar::new().file("file", &noise(100_000, 3)).bytes();
    let mut wrong_sum = good.clone();
    wrong_sum[0] ^= 1;
    let huge_pax = {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_size(1 << 33);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let huge_file = {
        let mut header = tar::Header::new_gnu();
        header.set_path("huge").unwrap();
        header.set_size(1 << 62);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let cases = [
        ("cut in a file", good[..50_000].to_vec(), "unexpected EOF"),
        ("cut in a header", good[..300].to_vec(), "unexpected EOF"),
        ("a wrong checksum", wrong_sum, "invalid tar header"),
        ("a huge pax header", huge_pax, "too long"),
        ("a huge file", huge_file, "too long"),
        (
            "text",
            b"this is no tar at all, ".repeat(100),
            "invalid tar header",
        ),
    ];
    for (name, tar, says) in cases {
        let ground = Ground::new();
        let error = ground
            .store
            .import(tar.as_slice(), NewImage::default())
            .expect_err(name);
        let text = format!("{error} {error:?}");
        assert!(text.contains(says), "{name}: {text}");
        assert_eq!(error.kind(), Kind::BadParameter, "{name}: {text}");
        assert_eq!(ground.left(), (0, 0), "{name} left something behind");
    }
}

#[test]
fn overlays_own_attributes_are_not_taken_from_layers() {
    let source = folder();
    run(
        "sh",
        &[
            "-ec",
            "cd $0; mkdir d; setfattr -n trusted.overlay.redirect -v /etc d; setfattr -n user.fine -v 1 d; tar --format=posix --xattrs --xattrs-include='*' -cf t.tar d",
            source.path().to_str().unwrap(),
        ],
    );
    let ground = Ground::new();
    let tar = fs::File::open(source.path().join("t.tar")).unwrap();
    let image = ground.store.import(tar, NewImage::default()).unwrap();
    let attributes = run(
        "getfattr",
        &[
            "--absolute-names",
            "-d",
            "-m-",
            image.lowers()[0].join("d").to_str().unwrap(),
        ],
    );
    assert!(
        attributes.contains("user.fine") && !attributes.contains("redirect"),
        "{attributes}"
    );
}

#[test]
fn a_layer_that_comes_twice_counts_once() {
    let ground = Ground::new();
    let (one, two) = (
        Tar::new().file("a", b"1").bytes(),
        Tar::new().file("a", b"2").bytes(),
    );
    let image = ground.load("t/again", &[one.clone(), two, one]).unwrap();
    assert_eq!(image.lowers().len(), 2);
    assert_eq!(fs::read(Merged::mount(&image).path("a")).unwrap(), b"1");
}

#[test]
fn a_full_disk_is_named_and_nothing_stays() {
    let disk = folder();
    let at = disk.path().to_str().unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=6m", "tmpfs", at]);
    let outcome = {
        let store =
            proa_images::Store::open(disk.path(), proa_images::Settings::default()).unwrap();
        let tar = Tar::new().file("big", &noise(20 << 20, 9)).bytes();
        let outcome = store.import(tar.as_slice(), NewImage::default());
        assert_eq!(
            fs::read_dir(disk.path().join("incoming")).unwrap().count(),
            0
        );
        outcome
    };
    run("umount", &[at]);
    let error = outcome.unwrap_err();
    assert!(
        format!("{error:?}").to_lowercase().contains("nospace")
            || format!("{error:?}").contains("StorageFull"),
        "{error:?}"
    );
    assert_eq!(error.kind(), Kind::Internal);
}

#[test]
fn a_commit_packs_deletions_as_whiteouts() {
    let ground = Ground::new();
    let base = ground
        .load(
            "t/base",
            &[Tar::new()
                .file("gone", b"1")
                .dir("o", 0o755)
                .file("o/x", b"1")
                .bytes()],
        )
        .unwrap();
    let upper = folder();
    run(
        "sh",
        &[
            "-ec",
            "cd $0; mknod gone c 0 0; mkdir o; setfattr -n trusted.overlay.opaque -v y o; printf new > o/new; ln o/new o/again; chown 7:8 o/new",
            upper.path().to_str().unwrap(),
        ],
    );
    let new = NewImage {
        base: base.config().clone(),
        parent: Some(base.id().clone()),
        reference: Some("t/child".parse().unwrap()),
        created_by: "sh".into(),
        ..NewImage::default()
    };
    let child = ground.store.commit(upper.path(), None, new).unwrap();
    assert_eq!((child.parent(), child.layers().len()), (Some(base.id()), 2));
    let merged = Merged::mount(&child);
    assert!(!merged.path("gone").exists() && !merged.path("o/x").exists());
    assert_eq!(fs::metadata(merged.path("o/again")).unwrap().uid(), 7);
    let error = ground
        .store
        .remove("t/base", proa_images::RemoveOptions::default(), &|_| None);
    assert!(
        matches!(error, Err(Error::Conflict(_))) || ground.store.find(base.id().as_str()).is_ok()
    );
    assert_ne!(Digest::of(base.raw_config()), *child.id());
}
