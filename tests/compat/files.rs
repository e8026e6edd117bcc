//! Files in and out of containers: `docker cp`, `export`, `commit`, with the real client, beside the real Docker.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::pair::{Pair, VERSION};
use crate::support::{Client, Files, Ran, peer, run, run_with_input, unique};

/// The real client, talking to a socket.
pub fn docker(socket: &Path, words: &[&str]) -> Command {
    let mut command = peer("docker");
    command
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .args(words);
    command
}

fn sockets(pair: &Pair) -> [PathBuf; 2] {
    [pair.ours.socket(), pair.peer.socket()]
}

/// What both said, without what each says of its own: output, refusal, exit code.
fn both(pair: &Pair, words: &[&str]) -> [Ran; 2] {
    sockets(pair).map(|socket| run(&mut docker(&socket, words)))
}

/// Both say the same; what they say.
#[track_caller]
pub fn same(pair: &Pair, words: &[&str]) -> String {
    let [ours, peer] = both(pair, words);
    let told = |ran: &Ran| {
        // The client tells of its own pipe when it is refused in the middle of sending.
        let lines = ran.err.lines().filter(|line| !line.starts_with("time="));
        (
            ran.code,
            ran.out.clone(),
            lines.collect::<Vec<_>>().join("\n"),
        )
    };
    assert_eq!(told(&ours), told(&peer), "{words:?}");
    ours.out + &ours.err
}

/// A scratch folder with a file, a link, a hole and a folder.
pub fn source() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("files-{}", unique()));
    std::fs::create_dir_all(folder.join("tree/sub")).expect("a new folder");
    std::fs::write(folder.join("tree/file"), "content").expect("it is ours");
    std::fs::write(folder.join("tree/sub/deep"), "deeper").expect("it is ours");
    std::os::unix::fs::symlink("file", folder.join("tree/link")).expect("it is ours");
    std::os::unix::fs::chown(folder.join("tree/file"), Some(7), Some(8)).expect("we are root");
    let hole = std::fs::File::create(folder.join("tree/hole")).expect("it is ours");
    hole.set_len(2 << 20).expect("it is ours");
    folder
}

/// Name → kind, mode, owner, size, link.
fn listing(tar: &[u8]) -> BTreeMap<String, String> {
    let mut listing = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries().expect("a tar") {
        let mut entry = entry.expect("a whole tar");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("a whole entry");
        let header = entry.header();
        let told = format!(
            "{:?} {:o} {}:{} {} {:?}",
            header.entry_type(),
            header.mode().expect("octal"),
            header.uid().expect("octal"),
            header.gid().expect("octal"),
            content.len(),
            entry
                .link_name_bytes()
                .map(|name| String::from_utf8_lossy(&name).into_owned()),
        );
        listing.insert(
            String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
            told,
        );
    }
    listing
}

fn container(pair: &Pair, name: &str, host: &Value) -> [String; 2] {
    let mut host = host.clone();
    host["NetworkMode"] = json!("none");
    pair.create(
        name,
        &json!({ "Cmd": ["sleep", "1000"], "HostConfig": host }),
    )
}

fn start(pair: &Pair, name: &str) {
    for mut api in pair.both() {
        api.post(&format!("/containers/{name}/start"), &Value::Null)
            .ok();
    }
}

fn fetch(api: &mut Client, container: &str, path: &str) -> BTreeMap<String, String> {
    listing(
        &api.get(&format!("/containers/{container}/archive?path={path}"))
            .ok()
            .body,
    )
}

#[test]
fn files_go_in_and_out_of_containers_that_run_and_that_do_not() {
    let pair = Pair::start();
    let from = source();
    let at = |name: &str| from.join(name).display().to_string();
    let (file, tree, inside) = (at("tree/file"), at("tree"), at("tree/."));
    for (name, runs) in [("rests", false), ("runs", true)] {
        container(
            &pair,
            name,
            &json!({ "Binds": ["kept:/kept", "shut:/shut:ro"] }),
        );
        if runs {
            start(&pair, name);
        }
        let to = |path: &str| format!("{name}:{path}");
        same(&pair, &["cp", "-q", &file, &to("/work/")]);
        same(&pair, &["cp", "-q", &tree, &to("/work/new")]);
        same(&pair, &["cp", "-q", &inside, &to("/work/new")]);
        same(&pair, &["cp", "-q", "-a", &file, &to("/kept/named")]);
        for path in ["/work", "/work/", "/work/.", "/kept", "/work/new/link"] {
            let [ours, peer] = pair.both().map(|mut api| fetch(&mut api, name, path));
            assert_eq!(ours, peer, "{path} of {name}");
        }
        let refusals = [
            [&tree, &to("/none/at/all")],
            [&file, &to("/shut/x")],
            [&tree, &to("/work/file")],
            [&to("/none"), &"-".to_owned()],
        ];
        for words in refusals {
            let told = same(&pair, &["cp", words[0], words[1]]);
            assert!(!told.is_empty(), "{words:?} is refused");
        }
    }
    std::fs::remove_dir_all(from).expect("it is ours");
}

#[test]
fn a_path_is_described_as_docker_does() {
    let pair = Pair::start();
    container(&pair, "paths", &json!({}));
    start(&pair, "paths");
    let script = "ln -s /etc/passwd /work/l; ln -s /none /work/broken; mkdir -m 3770 /work/d; mkfifo /work/f; \
                  echo five > /work/file; chmod 4711 /work/file";
    same(&pair, &["exec", "paths", "sh", "-c", script]);
    for path in [
        "/work/l",
        "/work/l/",
        "/work/broken",
        "/work/d/.",
        "/work/f",
        "/work/file",
        "/none",
        "/",
        "",
    ] {
        let told = pair.both().map(|mut api| {
            let answer = api.head(&format!("/containers/paths/archive?path={path}"));
            let stat = answer.header("x-docker-container-path-stat").map(|text| {
                let mut stat: Value = serde_json::from_slice(&decoded(text)).expect("JSON");
                stat["mtime"].take();
                if stat["mode"].as_u64().is_some_and(|mode| mode >> 31 == 1) {
                    stat["size"].take();
                }
                stat
            });
            (answer.status, stat)
        });
        let [ours, peer] = told;
        assert_eq!(ours, peer, "{path}");
    }
}

/// Base64, by a program that every machine has.
fn decoded(text: &str) -> Vec<u8> {
    run_with_input(Command::new("base64").arg("-d"), text.as_bytes())
        .ok()
        .into_bytes()
}

#[test]
fn what_is_mounted_and_what_is_read_only_is_left_alone() {
    let pair = Pair::start();
    let from = source();
    let file = from.join("tree/file").display().to_string();
    container(
        &pair,
        "shut",
        &json!({ "ReadonlyRootfs": true, "Binds": ["open:/open"] }),
    );
    container(&pair, "wide", &json!({ "Tmpfs": { "/memory": "" } }));
    start(&pair, "wide");
    same(&pair, &["cp", "-q", &file, "shut:/open/x"]);
    assert!(same(&pair, &["cp", &file, "shut:/work/x"]).contains("marked read-only"));
    let busy = same(&pair, &["cp", &file, "wide:/etc/hosts"]);
    assert!(busy.contains("busy"), "{busy}");
    let agent = &pair.ours;
    assert!(
        agent
            .docker(&["exec", "wide", "cat", "/etc/hosts"])
            .ok()
            .contains("localhost")
    );
    // Docker writes beneath the mount, where nothing in the container sees it.
    agent.docker(&["cp", "-q", &file, "wide:/memory/x"]).ok();
    assert_eq!(
        agent.docker(&["exec", "wide", "cat", "/memory/x"]).ok(),
        "content"
    );
    std::fs::remove_dir_all(from).expect("it is ours");
}

#[test]
fn a_container_cannot_lead_a_copy_out_of_itself() {
    let pair = Pair::start();
    let agent = &pair.ours;
    container(&pair, "liar", &json!({}));
    start(&pair, "liar");
    let script =
        "ln -s /../../../.. /work/up; ln -s /proc/1/root/.. /work/magic; echo own > /etc/mark";
    agent.docker(&["exec", "liar", "sh", "-c", script]).ok();
    let mut api = agent.api();
    let found = fetch(&mut api, "liar", "/work/up/etc/mark");
    assert_eq!(found.len(), 1, "{found:?}");
    let mark = unique();
    let tar = Files::tar(|files| files.file(&format!("up/{mark}"), 0o644, b"x"));
    api.send("PUT", "/containers/liar/archive?path=/work", &[], &tar)
        .ok();
    assert!(!Path::new("/").join(&mark).exists());
    assert!(
        agent
            .docker(&["exec", "liar", "ls", "/"])
            .ok()
            .contains(&mark)
    );
    api.get("/containers/liar/archive?path=/work/magic/etc")
        .failed(500);
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..6].copy_from_slice(b"../out");
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    builder
        .append(&header, &b""[..])
        .expect("a vector takes it");
    let tar = builder.into_inner().expect("a vector takes it");
    let told = api
        .send("PUT", "/containers/liar/archive?path=/work", &[], &tar)
        .failed(400);
    assert!(told.contains("is outside of"), "{told}");
}

#[test]
fn an_exported_container_and_a_committed_one_are_the_same_as_dockers() {
    let pair = Pair::start();
    container(&pair, "worker", &json!({ "Binds": ["beside:/beside"] }));
    start(&pair, "worker");
    let script = "echo new > /work/new; rm /probe; mkdir /etc/more; echo x > /beside/x; ln /work/new /work/again";
    same(&pair, &["exec", "worker", "sh", "-c", script]);
    let [ours, peer] = pair.both().map(|mut api| {
        let mut files = listing(&api.get("/containers/worker/export").ok().body);
        // What each engine makes itself as places to mount at.
        let own = [
            "bin/",
            ".dockerenv",
            "dev/",
            "etc/hostname",
            "etc/hosts",
            "etc/resolv.conf",
            "etc/mtab",
            "proc/",
            "sys/",
        ];
        files.retain(|name, _| !own.iter().any(|own| name.starts_with(own)));
        files
    });
    assert_eq!(ours, peer);
    let commit = [
        "commit",
        "-a",
        "me",
        "-m",
        "why",
        "-c",
        "CMD [\"cat\",\"/work/again\"]",
        "-c",
        "ENV A=b PATH=$PATH:/x",
        "-c",
        "EXPOSE 81",
        "-c",
        "LABEL one=\"a b\"",
        "-c",
        "WORKDIR sub",
        "-c",
        "USER 5:6",
        "-c",
        "VOLUME /v",
        "-c",
        "STOPSIGNAL SIGINT",
        "-c",
        "ONBUILD RUN x",
        "-c",
        "HEALTHCHECK --retries=2 CMD true",
        "worker",
        "made:1",
    ];
    for ran in both(&pair, &commit) {
        ran.ok();
    }
    let [ours, peer] = pair.get("/images/made:1/json").map(|mut image| {
        for own in ["Hostname", "Image", "Domainname"] {
            image["Config"][own].take();
        }
        let shape = &["Config", "Author", "Comment", "Architecture", "Os"];
        shape.map(|key| image[key].clone())
    });
    assert_eq!(ours, peer);
    let ran = same(
        &pair,
        &["run", "--rm", "--network", "none", "--user", "0", "made:1"],
    );
    assert_eq!(ran, "new\n");
    let gone = same(
        &pair,
        &["run", "--rm", "--network", "none", "made:1", "ls", "/probe"],
    );
    assert!(gone.contains("No such file"), "{gone}");
    let history = same(
        &pair,
        &[
            "history",
            "--format",
            "{{.CreatedBy}} {{.Comment}}",
            "made:1",
        ],
    );
    assert!(history.starts_with("sleep 1000 why"), "{history}");
    let refused = same(&pair, &["commit", "-c", "RUN x", "worker"]);
    assert!(
        refused.contains("RUN is not a valid change command"),
        "{refused}"
    );
    assert_eq!(VERSION, "/v1.45", "the words above are that version's");
}

#[test]
fn several_images_go_into_one_archive_and_come_out_in_either_engine() {
    let pair = Pair::start();
    same(&pair, &["tag", "localhost/pair:1", "localhost/other:2"]);
    let archives = pair.both().map(|mut api| {
        api.get("/images/get?names=localhost/pair:1&names=localhost/other:2")
            .ok()
            .body
    });
    for mut api in pair.both() {
        for archive in &archives {
            api.delete("/images/localhost/other:2?force=1").ok();
            let kind = [("Content-Type", "application/x-tar")];
            let told = api
                .send("POST", "/images/load?quiet=1", &kind, archive)
                .ok()
                .text();
            assert!(
                told.contains("localhost/pair:1") && told.contains("localhost/other:2"),
                "{told}"
            );
        }
        api.get("/images/get?names=localhost/pair:1&names=localhost/none:1")
            .failed(404);
    }
}

#[test]
fn a_copy_that_stalls_holds_up_neither_start_nor_removal() {
    let pair = Pair::start();
    let agent = &pair.ours;
    container(&pair, "stalled", &json!({}));
    let large = vec![b'x'; 24 << 20];
    let tar = Files::tar(|files| files.file("large", 0o644, &large));
    let mut api = agent.api();
    api.send("PUT", "/containers/stalled/archive?path=/work", &[], &tar)
        .ok();
    // Nobody reads the answer of this one.
    let _stalled = agent
        .api()
        .open("GET", "/containers/stalled/archive?path=/work", &[], b"");
    agent.docker(&["start", "stalled"]).ok();
    agent.docker(&["rm", "-f", "stalled"]).ok();
}
