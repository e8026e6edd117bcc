//! A command in a running container.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ROUNDS;
use crate::containers::{Bundle, load};
use crate::stopwatch::Stopwatch;
use crate::support::{Agent, Client, Dockerd, Image, unique};
use crate::table::Table;

/// Over one kept connection: create the exec, start it detached, wait for its end, read the exit code.
fn once(api: &mut Client, container: &str) -> Duration {
    let body = json!({ "Cmd": ["true"], "AttachStdout": true, "AttachStderr": true });
    let started = Instant::now();
    let created = api
        .post(&format!("/containers/{container}/exec"), &body)
        .ok()
        .json();
    let id = created["Id"].as_str().expect("a created exec has an id");
    // Without an upgrade the answer's body ends when the command does.
    api.post(&format!("/exec/{id}/start"), &json!({ "Detach": false }))
        .ok();
    let ended = api.get(&format!("/exec/{id}/json")).ok().json();
    let took = started.elapsed();
    assert_eq!(ended["ExitCode"], 0, "{ended}");
    took
}

fn sleeper(api: &mut Client, image: &str) -> String {
    let body = json!({ "Image": image, "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": "none" } });
    let id = api.post("/containers/create", &body).ok().json()["Id"]
        .as_str()
        .expect("an id")
        .to_owned();
    api.post(&format!("/containers/{id}/start"), &Value::Null)
        .ok();
    id
}

pub fn exec(table: &mut Table) {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let (mut ours, dockerd) = (agent.api(), Dockerd::start());
    let mut docker = dockerd.api();
    load(&mut docker, &Image::busybox(), "localhost/bench:1");
    let container = sleeper(&mut ours, &image);
    let peer_container = sleeper(&mut docker, "localhost/bench:1");
    let bundle = Bundle::new(&["sleep", "1000"]);
    let name = format!("bench-{}", unique());
    let mut peers = Stopwatch::among_peers();
    peers.time(&[
        "sh",
        "-c",
        &format!(
            "crun run --detach --bundle {} {name} >/dev/null 2>&1 </dev/null",
            bundle.path()
        ),
    ]);
    table.measure(
        "exec true over the API",
        ROUNDS,
        vec![
            ("proa", Box::new(|| once(&mut ours, &container))),
            (
                "crun exec",
                Box::new(|| peers.time(&["crun", "exec", &name, "true"])),
            ),
            ("docker", Box::new(|| once(&mut docker, &peer_container))),
        ],
    );
    table.promise("crun exec", 0.5);
    peers.time(&["crun", "delete", "--force", &name]);
}
