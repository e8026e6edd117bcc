//! What the engine itself takes: proportional set sizes of all its processes, its sealed copy included; idle, and for
//! each running container.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::containers::load;
use crate::support::{Agent, Client, Dockerd, Image, leftovers};
use crate::table::{Series, Table};

const CONTAINERS: usize = 20;

pub fn memory(table: &mut Table) {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let dockerd = Dockerd::start();
    load(&mut dockerd.api(), &Image::busybox(), "localhost/bench:1");
    // One container and back, so that everything that is made once is made.
    let folder = agent.run_folder().to_owned();
    let ours = || megabytes(&leftovers::processes(&[&folder], &[]));
    let docker = || megabytes(&dockerd.processes());
    start(&mut agent.api(), &image, 1);
    start(&mut dockerd.api(), "localhost/bench:1", 1);
    clear(&mut agent.api());
    clear(&mut dockerd.api());
    std::thread::sleep(Duration::from_secs(2));
    let idle = [ours(), docker()];
    start(&mut agent.api(), &image, CONTAINERS);
    start(&mut dockerd.api(), "localhost/bench:1", CONTAINERS);
    std::thread::sleep(Duration::from_secs(2));
    let busy = [ours(), docker()];
    let one = |name: &str, value: f64| Series {
        name: name.to_owned(),
        values: vec![value],
    };
    table.add(
        "idle, all processes (under 25 promised)",
        "MB",
        vec![one("proa", idle[0]), one("docker", idle[1])],
    );
    let each = |which: usize| (busy[which] - idle[which]) / CONTAINERS as f64;
    table.add(
        "more for each running container (0.4)",
        "MB",
        vec![one("proa", each(0)), one("docker", each(1))],
    );
}

fn start(api: &mut Client, image: &str, count: usize) {
    for _ in 0..count {
        let body = json!({ "Image": image, "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": "none" } });
        let id = api.post("/containers/create", &body).ok().json()["Id"]
            .as_str()
            .expect("an id")
            .to_owned();
        api.post(&format!("/containers/{id}/start"), &Value::Null)
            .ok();
    }
}

fn clear(api: &mut Client) {
    for container in api
        .get("/containers/json?all=1")
        .ok()
        .json()
        .as_array()
        .into_iter()
        .flatten()
    {
        api.delete(&format!(
            "/containers/{}?force=1",
            container["Id"].as_str().unwrap_or_default()
        ))
        .ok();
    }
}

/// Mapped pages by their share, and the memory files these processes run from, each once and whole.
fn megabytes(pids: &[u32]) -> f64 {
    let mut bytes = 0;
    let mut files = BTreeSet::new();
    for pid in pids {
        let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
        bytes += shares(&maps);
        if let Ok(file) = fs::metadata(format!("/proc/{pid}/exe"))
            && is_memory_file(*pid)
            && files.insert((file.dev(), file.ino()))
        {
            bytes += file.blocks() * 512;
        }
    }
    bytes as f64 / 1e6
}

/// Whether a process runs from a file that exists in memory alone.
fn is_memory_file(pid: u32) -> bool {
    let target = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    // Not a path of components: the name is `/memfd:NAME (deleted)`.
    target.to_string_lossy().starts_with("/memfd:")
}

/// The sum of the shares of all mappings that are not of a memory file.
fn shares(smaps: &str) -> u64 {
    let (mut sum, mut counted) = (0, true);
    for line in smaps.lines() {
        let first = line.split(' ').next().unwrap_or_default();
        if !first.ends_with(':') {
            counted = !line.contains("/memfd:");
        } else if first == "Pss:" && counted {
            sum += line
                .split_whitespace()
                .nth(1)
                .and_then(|number| number.parse::<u64>().ok())
                .unwrap_or_default()
                * 1024;
        }
    }
    sum
}
