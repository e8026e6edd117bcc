//! Volumes: options, first use, sharing, removal, beside the real Docker; and what only Proa does with them.

use serde_json::{Value, json};

use crate::files::{same, source};
use crate::pair::Pair;
use crate::support::{Agent, Image, Response, run};

/// One busybox with files at `/seeded`.
fn seeded() -> Image {
    Image::busybox().layer(|files| {
        files
            .folder("seeded", 0o1777)
            .file("seeded/seed", 0o640, b"of the image")
    })
}

/// `docker run --rm --network none` and what follows.
fn run_in<'a>(flags: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["run", "--rm", "--network", "none"];
    words.extend(flags);
    words.push("localhost/pair:1");
    words.extend(command);
    words
}

#[test]
fn options_are_taken_and_refused_as_docker_does() {
    let pair = Pair::start();
    for options in [
        &["size=10m"][..],
        &["size=zz"],
        &["colour=red"],
        &["type=tmpfs"],
        &["device=x"],
        &["o=ro"],
        &["o=ro", "device=x"],
    ] {
        let mut words = vec!["volume", "create"];
        for option in options {
            words.extend(["-o", option]);
        }
        words.push("odd");
        assert!(!same(&pair, &words).is_empty(), "{options:?}");
    }
    same(&pair, &["volume", "create", "x"]);
    same(&pair, &["volume", "create", "bad/name"]);
    same(&pair, &["volume", "create", "-d", "nope", "named"]);
    let create = [
        "volume",
        "create",
        "-o",
        "type=tmpfs",
        "-o",
        "device=tmpfs",
        "-o",
        "o=size=1m,uid=7",
        "memory",
    ];
    same(&pair, &create);
    let script = "stat -c %u /m; df -k /m | awk 'END { print $2 }'";
    let seen = same(&pair, &run_in(&["-v", "memory:/m"], &["sh", "-c", script]));
    assert_eq!(seen, "7\n1024\n");
    let [ours, peer] = pair.get("/volumes/memory").map(|mut volume| {
        volume["CreatedAt"].take();
        volume["Mountpoint"].take();
        volume
    });
    assert_eq!(ours, peer);
}

#[test]
fn mounts_that_cannot_be_made_are_told() {
    let pair = Pair::start();
    let agent = &pair.ours;
    let from = source();
    let device = format!("device={}", from.join("tree").display());
    agent
        .docker(&[
            "volume",
            "create",
            "-o",
            "type=none",
            "-o",
            &device,
            "-o",
            "o=bind",
            "bound",
        ])
        .ok();
    let listed = agent
        .docker(&run_in(&["-v", "bound:/b"], &["cat", "/b/file"]))
        .ok();
    assert_eq!(listed, "content");
    agent
        .docker(&[
            "volume",
            "create",
            "-o",
            "type=none",
            "-o",
            "device=/none/such",
            "-o",
            "o=bind",
            "none",
        ])
        .ok();
    let told = agent
        .docker(&run_in(&["-v", "none:/b"], &["true"]))
        .failed(127);
    assert!(
        told.contains("error while mounting volume '")
            && told.contains("/none/such:")
            && told.contains("flags: 0x1000: no such file or directory"),
        "{told}"
    );
    agent.docker(&["volume", "rm", "bound", "none"]).ok();
    assert!(
        from.join("tree/file").exists(),
        "what was bound is not the volume's to remove"
    );
    std::fs::remove_dir_all(from).expect("it is ours");
}

#[test]
fn volumes_are_filled_shared_and_removed_as_docker_does() {
    let pair = Pair::start();
    let archive = seeded().archive("localhost/seeded:1");
    for mut api in pair.both() {
        let kind = [("Content-Type", "application/x-tar")];
        api.send("POST", "/images/load?quiet=1", &kind, &archive)
            .ok();
    }
    let first = [
        "run",
        "--name",
        "first",
        "--network",
        "none",
        "-v",
        "fresh:/seeded",
        "localhost/seeded:1",
    ];
    let mut words = first.to_vec();
    words.extend(["stat", "-c", "%a %n", "/seeded", "/seeded/seed"]);
    assert_eq!(same(&pair, &words), "1777 /seeded\n640 /seeded/seed\n");
    let empty = [
        "run",
        "--rm",
        "--network",
        "none",
        "-v",
        "bare:/seeded:nocopy",
        "localhost/seeded:1",
        "ls",
        "/seeded",
    ];
    assert_eq!(same(&pair, &empty), "");
    same(
        &pair,
        &run_in(&["--volumes-from", "first"], &["touch", "/seeded/other"]),
    );
    let shut = same(
        &pair,
        &run_in(&["--volumes-from", "first:ro"], &["touch", "/seeded/x"]),
    );
    assert!(shut.contains("Read-only"), "{shut}");
    let refused = pair
        .both()
        .map(|mut api| api.delete("/volumes/fresh").failed(409));
    assert!(
        refused.iter().all(|told| told.contains("volume is in use")),
        "{refused:?}"
    );
    same(&pair, &["rm", "first"]);
    same(&pair, &["volume", "rm", "fresh"]);
    same(&pair, &["volume", "rm", "fresh"]);
    same(&pair, &["volume", "rm", "-f", "fresh"]);
    same(&pair, &run_in(&["-v", "/anonymous"], &["true"]));
    assert_eq!(
        same(&pair, &["volume", "ls", "-q"]),
        "bare\n",
        "--rm takes it along"
    );
}

#[test]
fn a_folder_of_a_volume_can_be_mounted_alone() {
    let pair = Pair::start();
    let agent = &pair.ours;
    let script = "mkdir -p /s/a/b; echo in > /s/a/b/f; ln -s /etc /s/out";
    same(&pair, &run_in(&["-v", "sub:/s"], &["sh", "-c", script]));
    let mount = |inner: &str| format!("type=volume,src=sub,dst=/s,volume-subpath={inner}");
    let inner = mount("a/b");
    assert_eq!(
        same(&pair, &run_in(&["--mount", &inner], &["cat", "/s/f"])),
        "in\n"
    );
    let up = mount("../x");
    assert!(
        same(&pair, &run_in(&["--mount", &up], &["true"]))
            .contains("relative path within the volume")
    );
    for inner in ["none", "out"] {
        let inner = mount(inner);
        agent
            .docker(&run_in(&["--mount", &inner], &["true"]))
            .failed(127);
    }
}

#[test]
fn lists_and_prunes_take_dockers_filters() {
    let pair = Pair::start();
    same(
        &pair,
        &[
            "volume", "create", "--label", "a=1", "--label", "b=2", "labelled",
        ],
    );
    same(&pair, &["volume", "create", "plain"]);
    same(
        &pair,
        &[
            "volume",
            "create",
            "-o",
            "type=tmpfs",
            "-o",
            "device=tmpfs",
            "memory",
        ],
    );
    for filter in [
        "label=a",
        "label=a=2",
        "name=lain",
        "dangling=true",
        "dangling=false",
        "driver=local",
        "odd=1",
    ] {
        same(&pair, &["volume", "ls", "-q", "--filter", filter]);
    }
    let usage = "{{range .Volumes}}{{.Name}} {{.Links}} {{.Size}}\n{{end}}";
    let [ours, peer] = [&pair.ours.socket(), &pair.peer.socket()].map(|socket| {
        let mut docker = crate::files::docker(socket, &["system", "df", "-v", "--format", usage]);
        let told = run(&mut docker).ok();
        let mut lines: Vec<_> = told.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    });
    assert_eq!(ours, peer);
    same(&pair, &["volume", "prune", "-f"]);
    same(
        &pair,
        &["volume", "prune", "-f", "-a", "--filter", "label!=a"],
    );
    same(
        &pair,
        &[
            "volume",
            "prune",
            "-f",
            "--filter",
            "all=true",
            "--filter",
            "label=a=1",
        ],
    );
    assert_eq!(
        same(&pair, &["volume", "ls", "-q"]),
        "memory\n",
        "what is elsewhere is not pruned"
    );
}

/// An engine with a volume in use.
fn engine() -> (Agent, String) {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let script = "mkdir -m 2750 /v/dir; echo one > /v/dir/file; ln /v/dir/file /v/again; chown 5:6 /v/dir/file; \
                  ln -s dir/file /v/link; dd if=/dev/zero of=/v/hole bs=1 count=1 seek=30000000 2>/dev/null; chown 9 /v; \
                  exec sleep 1000";
    agent
        .docker(&[
            "run",
            "-d",
            "--name",
            "user",
            "--network",
            "none",
            "-v",
            "old:/v",
            &image,
            "sh",
            "-c",
            script,
        ])
        .ok();
    crate::support::poll(
        std::time::Duration::from_secs(60),
        "the volume is filled",
        || agent.docker(&["top", "user"]).ok().contains("sleep 1000"),
    );
    (agent, image)
}

/// Everything that can be seen of a volume's files.
fn seen(agent: &Agent, image: &str, volume: &str) -> String {
    let mount = format!("{volume}:/v:ro");
    let script = "cd /v; find . | sort | while read n; do stat -c '%n %A %u:%g %s %h %Y' $n; done; cat again; du -k hole | cut -f1";
    agent
        .docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            "-v",
            &mount,
            image,
            "sh",
            "-c",
            script,
        ])
        .ok()
}

/// `PUT /proa/v1/volumes/{name}/restore`
fn restore(agent: &Agent, name: &str, query: &str, bytes: &[u8]) -> Response {
    let path = format!("/proa/v1/volumes/{name}/restore?{query}");
    agent.api().send("PUT", &path, &[], bytes)
}

#[test]
fn a_backup_holds_all_that_a_volume_holds() {
    let (agent, image) = engine();
    let before = seen(&agent, &image, "old");
    let backup = agent.api().get("/proa/v1/volumes/old/backup").ok().body;
    assert!(
        backup.len() < 100_000,
        "the hole takes no room: {}",
        backup.len()
    );
    let state = ["inspect", "-f", "{{.State.Status}}", "user"];
    assert_eq!(agent.docker(&state).ok(), "running\n");
    restore(&agent, "new", "", &backup).ok();
    assert_eq!(seen(&agent, &image, "new"), before);
    let told = restore(&agent, "new", "", &backup).failed(409);
    assert!(told.contains("not empty"), "{told}");
    restore(&agent, "new", "replace=1", &backup).ok();
    assert_eq!(seen(&agent, &image, "new"), before);
    let told = restore(&agent, "old", "replace=1", &backup).failed(409);
    assert!(told.contains("in use by running containers"), "{told}");
    let cut = &backup[..backup.len() / 2];
    let broken = restore(&agent, "new", "replace=1", cut);
    assert!(broken.status >= 400, "a stream that breaks off is refused");
    assert_eq!(
        seen(&agent, &image, "new"),
        before,
        "and nothing has changed"
    );
    let left = std::fs::read_dir(agent.root().join("volumes")).expect("it is there");
    assert_eq!(left.count(), 2, "nothing is left beside the volumes");
    agent.docker(&["rm", "-f", "user"]).ok();
    agent.assert_nothing_left();
}

#[test]
fn a_clone_goes_its_own_way() {
    let (agent, image) = engine();
    let clone = |from: &str, to: &str| {
        let path = format!("/proa/v1/volumes/{from}/clone?to={to}");
        agent.api().post(&path, &Value::Null)
    };
    assert_eq!(clone("old", "copy").ok().json()["Name"], "copy");
    assert_eq!(seen(&agent, &image, "copy"), seen(&agent, &image, "old"));
    let remove = [
        "--network",
        "none",
        "-v",
        "copy:/v",
        &image,
        "rm",
        "-r",
        "/v/dir",
    ];
    agent.docker(&[&["run", "--rm"], &remove[..]].concat()).ok();
    assert!(seen(&agent, &image, "old").contains("./dir/file"));
    let told = clone("old", "copy").failed(409);
    assert!(told.contains("already exists"), "{told}");
    let told = clone("none", "other").failed(404);
    assert!(told.contains("no such volume"), "{told}");
    agent.docker(&["rm", "-f", "user"]).ok();
    agent.assert_nothing_left();
}

#[test]
fn a_volume_is_looked_into_from_outside() {
    let (agent, _) = engine();
    let browse = |path: &str| {
        let path = format!("/proa/v1/volumes/old/browse?path={path}");
        agent.api().get(&path)
    };
    let top: Value = browse("/").ok().json();
    let names: Vec<_> = top["entries"]
        .as_array()
        .expect("a directory has entries")
        .iter()
        .map(|entry| format!("{} {}", entry["kind"], entry["name"]).replace('"', ""))
        .collect();
    assert_eq!(
        names,
        ["file again", "directory dir", "file hole", "link link"]
    );
    assert_eq!(top["entries"][3]["target"], "dir/file");
    let document: Value = browse("/link&offset=1&limit=2").ok().json();
    assert_eq!(document["path"], "/dir/file");
    assert_eq!(
        document["content"],
        json!({ "offset": 1, "encoding": "utf-8", "text": "ne" })
    );
    assert_eq!(document["truncated"], true);
    browse("/../../etc/passwd").failed(404);
    agent.api().get("/proa/v1/volumes/none/browse").failed(404);
    agent.docker(&["rm", "-f", "user"]).ok();
    agent.assert_nothing_left();
}
