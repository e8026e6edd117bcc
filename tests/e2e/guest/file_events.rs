//! What the host does to a shared folder, seen by a container that watches it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::guest::{DiskFile, Guest, PATIENCE};
use super::support::{Image, poll, run, run_with_input, short_folder};

const CREATE: u32 = 0x100;
const MODIFY: u32 = 0x2;
const DELETE: u32 = 0x200;
const MOVED_FROM: u32 = 0x40;
const MOVED_TO: u32 = 0x80;

#[test]
fn a_container_hears_what_the_host_does_to_a_shared_folder() {
    let disk = DiskFile::new(1024);
    let folder = short_folder(Path::new("/var/tmp"), "proa, share é ");
    let guest = Guest::boot_sharing(&disk, &folder);
    let shared = folder.to_str().unwrap();
    let share =
        json!({ "shares": [{ "tag": "share0", "path": shared, "readonly": false }] }).to_string();
    let headers = [("Content-Type", "application/json")];
    guest
        .api()
        .send("PUT", "/proa/v1/shares", &headers, share.as_bytes())
        .ok();
    load_watcher(&guest, &folder);

    let mount = format!("type=bind,\"source={shared}\",target=/shared");
    guest
        .docker(&[
            "run",
            "-d",
            "--name",
            "w",
            "--network",
            "none",
            "--mount",
            &mount,
            "localhost/w:1",
            "/watch",
            "/shared",
        ])
        .ok();
    let heard = |guest: &Guest| guest.docker(&["logs", "w"]).ok();
    poll(PATIENCE, "it watches", || {
        heard(&guest).contains("watching")
    });

    fs::write(folder.join("a"), "one").unwrap();
    tell(&guest, &folder, &[("a", CREATE, 0)]);
    fs::write(folder.join("a"), "other").unwrap();
    tell(&guest, &folder, &[("a", MODIFY, 0)]);
    fs::rename(folder.join("a"), folder.join("b")).unwrap();
    tell(&guest, &folder, &[("a", MOVED_FROM, 7), ("b", MOVED_TO, 7)]);
    fs::remove_file(folder.join("b")).unwrap();
    tell(&guest, &folder, &[("b", DELETE, 0)]);
    poll(PATIENCE, "it hears the last of it", || {
        heard(&guest).contains("DELETE b")
    });
    let said = heard(&guest);
    assert_eq!(
        said,
        "watching\nCREATE a\nMODIFY a\nMOVED_FROM a\nMOVED_TO b\nDELETE b\n"
    );
    drop(guest);
    let _ = fs::remove_dir_all(&folder);
}

/// As the host's own watcher sends them.
fn tell(guest: &Guest, folder: &Path, events: &[(&str, u32, u32)]) {
    let lines: String = events
        .iter()
        .map(|(name, mask, cookie)| {
            json!({ "path": folder.join(name), "mask": mask, "cookie": cookie }).to_string() + "\n"
        })
        .collect();
    guest
        .api()
        .send("POST", "/proa/v1/fsevents", &[], lines.as_bytes())
        .ok();
}

/// An image with the watching program, compiled on the spot.
fn load_watcher(guest: &Guest, scratch: &Path) {
    let program = scratch.with_extension("watch");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e/guest/watch.c");
    run(Command::new("cc")
        .args(["-static", "-O1", "-o"])
        .arg(&program)
        .arg(source))
    .ok();
    let bytes = fs::read(&program).unwrap();
    fs::remove_file(&program).unwrap();
    let image = Image::busybox().layer(|files| files.file("watch", 0o755, &bytes));
    run_with_input(
        &mut guest.docker_command(&["load"]),
        &image.archive("localhost/w:1"),
    )
    .ok();
}
