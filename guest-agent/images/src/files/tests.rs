//! Round trips, and streams that lie.

use std::fs;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, symlink};
use std::path::Path;

use rustix::fs::{FileType, Mode, XattrFlags};

use super::*;
use crate::tar::{Member, Writer, WriterKind};

fn packed(dir: &Path, name: &str, options: PackOptions) -> Vec<u8> {
    pack(
        fs::File::open(dir).unwrap(),
        name.as_bytes(),
        options,
        Vec::new(),
    )
    .unwrap()
}

fn unpacked(tar: &[u8], root: &Path, options: &UnpackOptions) -> Result<(), FilesError> {
    let root = fs::File::open(root).unwrap();
    unpack(tar, std::os::fd::AsFd::as_fd(&root), options)
}

fn at(place: &str) -> UnpackOptions {
    UnpackOptions {
        place: place.into(),
        ..UnpackOptions::default()
    }
}

fn furnish(from: &Path) {
    fs::create_dir_all(from.join("sub/deep")).unwrap();
    fs::write(from.join("sub/file"), "text").unwrap();
    fs::hard_link(from.join("sub/file"), from.join("sub/zlink")).unwrap();
    rustix::fs::chmod(from.join("sub/file"), Mode::from_raw_mode(0o4711)).unwrap();
    symlink("/nowhere", from.join("sub/soft")).unwrap();
    std::os::unix::fs::lchown(from.join("sub/soft"), Some(7), Some(8)).unwrap();
    let device = rustix::fs::makedev(1, 3);
    let null = from.join("sub/null");
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &null,
        FileType::CharacterDevice,
        mode,
        device,
    )
    .unwrap();
    let holes = fs::File::create(from.join("sub/holes")).unwrap();
    holes.write_all_at(b"end", 40 << 20).unwrap();
    let file = from.join("sub/file");
    rustix::fs::setxattr(&file, "user.colour", b"red", XattrFlags::empty()).unwrap();
    let long = "n".repeat(200);
    fs::create_dir_all(from.join(&long).join(&long)).unwrap();
    fs::write(from.join(&long).join(&long).join("x"), "deep").unwrap();
    drop(std::os::unix::net::UnixListener::bind(from.join("s")));
}

#[test]
fn everything_about_files_survives_the_way_there_and_back() {
    for sparse in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        furnish(&from);
        let options = PackOptions {
            sparse,
            ..PackOptions::default()
        };
        let tar = packed(&from, "named", options);
        assert!(
            !sparse || tar.len() < 1 << 20,
            "holes take no room: {}",
            tar.len()
        );
        unpacked(&tar, &to, &at("/")).unwrap();
        let look = |name: &str| fs::symlink_metadata(to.join("named").join(name)).unwrap();
        assert_eq!(look("sub/file").mode() & 0o7777, 0o4711);
        assert_eq!(look("sub/file").ino(), look("sub/zlink").ino());
        assert_eq!((look("sub/soft").uid(), look("sub/soft").gid()), (7, 8));
        assert!(look("sub/null").file_type().is_char_device());
        assert_eq!(look("sub/holes").len(), (40 << 20) + 3);
        assert!(look("sub/holes").blocks() < 1000, "holes stay holes");
        let long = "n".repeat(200);
        assert_eq!(look(&format!("{long}/{long}/x")).len(), 4);
        assert!(!to.join("named/s").exists(), "sockets stay behind");
        let mut value = [0; 8];
        let file = to.join("named/sub/file");
        assert_eq!(rustix::fs::getxattr(file, "user.colour", &mut value), Ok(3));
        let old = fs::metadata(from.join("sub/deep")).unwrap();
        assert_eq!(look("sub/deep").mtime_nsec(), old.mtime_nsec());
    }
}

#[test]
fn depth_costs_no_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let deep = "d/".repeat(900);
    fs::create_dir_all(dir.path().join(&deep)).unwrap();
    fs::write(dir.path().join(&deep).join("file"), "x").unwrap();
    let tar = packed(dir.path(), "", PackOptions::default());
    let to = tempfile::tempdir().unwrap();
    unpacked(&tar, to.path(), &at("/")).unwrap();
    assert_eq!(fs::read(to.path().join(deep).join("file")).unwrap(), b"x");
}

/// A tar of one file of this name, or of a link to somewhere and a file beneath it.
fn one(name: &str) -> Vec<u8> {
    let mut tar = Writer::new(Vec::new());
    tar.file(name, b"content", 0).unwrap();
    tar.finish().unwrap()
}

#[test]
fn names_and_links_lead_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("place")).unwrap();
    fs::create_dir_all(root.join("etc")).unwrap();
    symlink("/etc", root.join("place/link")).unwrap();
    symlink("../../..", root.join("place/up")).unwrap();
    let told = unpacked(&one("../out"), &root, &at("/place")).unwrap_err();
    assert_eq!(told.to_string(), "\"../out\" is outside of \"/place\"");
    unpacked(&one("/abs"), &root, &at("/place")).unwrap();
    assert!(root.join("place/abs").exists());
    unpacked(&one("link/file"), &root, &at("/place")).unwrap();
    assert!(root.join("etc/file").exists(), "links are the root's");
    unpacked(&one("up/file"), &root, &at("/place")).unwrap();
    assert!(root.join("file").exists() && !dir.path().join("file").exists());
    let mut tar = Writer::new(Vec::new());
    let mut link = Member::file("hard", 0, 0);
    (link.kind, link.link) = (WriterKind::HardLink, b"../../x");
    tar.header(&link).unwrap();
    let told = unpacked(&tar.finish().unwrap(), &root, &at("/place")).unwrap_err();
    assert!(matches!(told, FilesError::Outside { .. }), "{told}");
}

#[test]
fn a_stream_that_breaks_off_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "old").unwrap();
    let mut tar = Writer::new(Vec::new());
    tar.file("file", &[b'x'; 5000], 0).unwrap();
    let tar = tar.finish().unwrap();
    let told = unpacked(&tar[..2000], dir.path(), &at("/")).unwrap_err();
    assert_eq!(told.to_string(), "read the tar stream: unexpected EOF");
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let told = unpacked(b"BZh91AY", dir.path(), &at("/")).unwrap_err();
    assert!(told.to_string().contains("bzip2"), "{told}");
    assert!(
        unpacked(&[7; 1024], dir.path(), &at("/"))
            .unwrap_err()
            .is_senders_fault()
    );
}

#[test]
fn kinds_are_kept_if_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("p/name/inner")).unwrap();
    let keep = UnpackOptions {
        keep_kinds: true,
        ..at("/p")
    };
    let told = unpacked(&one("name"), dir.path(), &keep).unwrap_err();
    let words = "cannot overwrite directory \"/p/name\" with non-directory \"/p\"";
    assert_eq!(told.to_string(), words);
    unpacked(&one("name"), dir.path(), &at("/p")).unwrap();
    assert!(dir.path().join("p/name").is_file());
    let mut tar = Writer::new(Vec::new());
    tar.header(&Member::directory("name", 0)).unwrap();
    let tar = tar.finish().unwrap();
    let told = unpacked(&tar, dir.path(), &keep).unwrap_err();
    assert!(
        told.to_string()
            .starts_with("cannot overwrite non-directory")
    );
    unpacked(&tar, dir.path(), &at("/p")).unwrap();
    assert!(dir.path().join("p/name").is_dir());
}

#[test]
fn owners_are_those_of_a_user_namespace() {
    let dir = tempfile::tempdir().unwrap();
    let ids = IdShift {
        first: 100_000,
        size: 65536,
    };
    let options = UnpackOptions {
        ids: Some(ids),
        owner: Some((5, 6)),
        ..at("/")
    };
    unpacked(&one("a/b"), dir.path(), &options).unwrap();
    let made = fs::metadata(dir.path().join("a/b")).unwrap();
    assert_eq!((made.uid(), made.gid()), (100_005, 100_006));
    let mut tar = Writer::new(Vec::new());
    tar.header(&Member {
        uid: 70_000,
        ..Member::file("c", 0, 0)
    })
    .unwrap();
    let options = UnpackOptions {
        ids: Some(ids),
        ..at("/")
    };
    let told = unpacked(&tar.finish().unwrap(), dir.path(), &options).unwrap_err();
    assert!(told.to_string().contains("owner 70000"), "{told}");
    assert_eq!((ids.inside(100_005), ids.inside(3)), (5, 65534));
}
