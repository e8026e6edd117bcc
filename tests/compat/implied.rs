//! Directories that a layer only implies, beside Docker's: where a lower layer has a symbolic link of that name.

use serde_json::json;

use crate::difference::{Facts, assert_same};
use crate::pair::Pair;
use crate::support::Image;

/// What is found at the link's place, and behind it.
const LOOK: &str = "for p in /way /way/under /way/new /way/new/file /real /real/under /real/new /far /far/file; do \
    if [ -L $p ]; then echo \"$p: link to $(readlink $p)\"; \
    elif [ -d $p ]; then echo \"$p: folder\"; \
    elif [ -e $p ]; then echo \"$p: file\"; \
    else echo \"$p: nothing\"; fi; done";

#[test]
fn an_implied_directory_takes_the_place_of_a_link_beneath() {
    let pair = Pair::start();
    let image = Image::busybox()
        .layer(|files| {
            let files = files.folder("real", 0o755).file("real/under", 0o644, b"");
            files.symlink("way", "real").symlink("far", "/real/../etc")
        })
        .layer(|files| {
            let files = files.file("way/new/file", 0o644, b"");
            files.file("far/file", 0o644, b"")
        });
    let archive = image.archive("localhost/implied:1");
    for mut api in pair.both() {
        let kind = [("Content-Type", "application/x-tar")];
        api.send("POST", "/images/load?quiet=1", &kind, &archive)
            .ok();
    }
    let body = json!({
        "Image": "localhost/implied:1", "Cmd": ["sh", "-c", LOOK], "HostConfig": { "NetworkMode": "none" },
    });
    let [ours, peer] = pair.output(&body).map(|output| {
        let lines = output.lines().filter_map(|line| line.split_once(": "));
        let lines = lines.map(|(place, what)| (place.to_owned(), what.to_owned()));
        lines.collect::<Facts>()
    });
    assert_eq!(peer.len(), 9, "{peer:?}");
    assert_same("implied directory", &ours, &peer);
}
