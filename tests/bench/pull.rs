//! An image of six layers and about 300 MB, from a registry on loopback until it can run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::SLOW_ROUNDS;
use crate::containers::Podman;
use crate::stopwatch::Stopwatch;
use crate::support::{Agent, Client, Dockerd, Files, Image, Registry, peers_root};
use crate::table::Table;

const LAYERS: usize = 6;
const LAYER_BYTES: u64 = 46_000_000;
/// After an image was removed. A file system may be slow to hand out again what was just deleted (ext4 without a journal
/// for five seconds), and nobody's pull follows a removal of as much.
const SETTLE: Duration = Duration::from_secs(7);

pub fn pull(table: &mut Table) {
    let registry = Registry::start();
    let name = image().push(&registry, "bench/large", "1");
    let (repository, tag) = name.rsplit_once(':').expect("a pushed image has a tag");
    let (agent, dockerd, podman) = (Agent::start(), Dockerd::start(), Podman::new());
    let (mut ours, mut docker, mut peers) = (agent.api(), dockerd.api(), Stopwatch::among_peers());
    let path = format!("/images/create?fromImage={repository}&tag={tag}");
    let podman_pull = || {
        podman.run(&["rmi", "--all", "--force"]);
        std::thread::sleep(SETTLE);
        peers.time(&podman.words(&["pull", "--quiet", "--tls-verify=false", &name]))
    };
    table.measure(
        "pull of 6 layers, 300 MB, from loopback",
        SLOW_ROUNDS,
        vec![
            ("proa", Box::new(|| once(&mut ours, &path, &name))),
            ("docker", Box::new(|| once(&mut docker, &path, &name))),
            ("podman", Box::new(podman_pull)),
        ],
    );
    table.promise("best", 0.3);
}

/// Forgets the image, then pulls it.
fn once(api: &mut Client, path: &str, name: &str) -> Duration {
    api.delete(&format!("/images/{name}?force=1"));
    std::thread::sleep(SETTLE);
    let started = Instant::now();
    let answer = api.post(path, &Value::Null).ok();
    let took = started.elapsed();
    let failed = answer
        .lines()
        .into_iter()
        .find(|line| !line["error"].is_null());
    assert!(failed.is_none(), "{failed:?}");
    api.get(&format!("/images/{name}/json")).ok();
    took
}

/// Layers of real files: programs, libraries and documents of the peers' own root.
fn image() -> Image {
    let mut files = Vec::new();
    for folder in ["usr/bin", "usr/lib", "usr/share", "usr/sbin"] {
        collect(&peers_root().join(folder), &mut files);
    }
    let mut files = files.into_iter();
    (0..LAYERS).fold(Image::busybox(), |image, _| {
        image.layer(|layer| fill(layer, &mut files))
    })
}

fn fill(mut layer: Files, files: &mut impl Iterator<Item = PathBuf>) -> Files {
    let mut size = 0;
    while size < LAYER_BYTES {
        let Some(path) = files.next() else { break };
        let content = std::fs::read(&path).expect("the peers' root can be read");
        let name = path
            .strip_prefix(peers_root())
            .expect("the file lies there")
            .to_str();
        // One very large program would be a layer of its own.
        if let Some(name) = name.filter(|_| (content.len() as u64) < LAYER_BYTES * 2 / 3) {
            size += content.len() as u64;
            layer = layer.file(name, 0o644, &content);
        }
    }
    layer
}

fn collect(folder: &std::path::Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("read {}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let kind = path
            .symlink_metadata()
            .expect("the file was just listed")
            .file_type();
        if kind.is_dir() {
            collect(&path, files);
        } else if kind.is_file() {
            files.push(path);
        }
    }
}
