//! The ground that the other tests stand on: the tools are there, and images made on the spot are images.

use serde_json::{Value, json};

use crate::support::{Dockerd, Image, Registry, peer, run};

#[test]
fn an_image_made_on_the_spot_is_one_to_other_people_s_tools() {
    let registry = Registry::start();
    let name = Image::busybox().push(&registry, "ground", "1");
    let shown = run(peer("skopeo")
        .args(["inspect", "--tls-verify=false"])
        .arg(format!("docker://{name}")))
    .ok();
    assert!(shown.contains("\"Layers\""), "{shown}");
    let text: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(text["Os"], "linux");
}

#[test]
fn the_peer_runs_a_container_of_an_image_made_on_the_spot() {
    let peer = Dockerd::start();
    let mut api = peer.api();
    let archive = Image::busybox().archive("localhost/ground:1");
    api.send(
        "POST",
        "/images/load?quiet=1",
        &[("Content-Type", "application/x-tar")],
        &archive,
    )
    .ok();
    let body = json!({ "Image": "localhost/ground:1", "Cmd": ["sh", "-c", "exit 7"], "HostConfig": { "NetworkMode": "none" } });
    let id = api.post("/containers/create", &body).ok().json()["Id"]
        .as_str()
        .unwrap()
        .to_owned();
    api.post(&format!("/containers/{id}/start"), &Value::Null)
        .ok();
    let waited = api
        .post(&format!("/containers/{id}/wait"), &Value::Null)
        .ok()
        .json();
    assert_eq!(waited["StatusCode"], 7);
}
