//! Our engine and the peer's, side by side, with the same image in both.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Agent, Client, Dockerd, Image, Network, run, unique};

/// Both engines and the name of the image they share.
pub struct Pair {
    pub ours: Agent,
    pub peer: Dockerd,
    pub image: String,
}

impl Pair {
    /// Both with busybox and `/probe` in one image.
    pub fn start() -> Self {
        Self::of(Agent::start(), Dockerd::start())
    }

    /// The same, each on a host of its own, where both may make bridges and rules.
    pub fn start_in(ours: &Network, peer: &Network) -> Self {
        Self::of(Agent::start_in(ours), Dockerd::start_in(peer))
    }

    fn of(ours: Agent, peer: Dockerd) -> Self {
        let probe = probe();
        let image = Image::busybox()
            .layer(|files| files.folder("work", 0o755).file("probe", 0o755, &probe))
            .set("WorkingDir", json!("/work"))
            .set("ExposedPorts", json!({ "80/tcp": {} }))
            .set("Labels", json!({ "a.label": "of the image" }));
        let pair = Self {
            ours,
            peer,
            image: "localhost/pair:1".to_owned(),
        };
        let archive = image.archive(&pair.image);
        for mut api in pair.both() {
            api.send(
                "POST",
                "/images/load?quiet=1",
                &[("Content-Type", "application/x-tar")],
                &archive,
            )
            .ok();
        }
        pair
    }

    /// Clients of ours and of the peer.
    pub fn both(&self) -> [Client; 2] {
        [
            self.ours.api().with_prefix(VERSION),
            self.peer.api().with_prefix(VERSION),
        ]
    }

    /// Asks both the same.
    pub fn get(&self, path: &str) -> [Value; 2] {
        self.both().map(|mut api| api.get(path).ok().json())
    }

    /// Creates the same container in both, of the shared image unless the body names another.
    pub fn create(&self, name: &str, body: &Value) -> [String; 2] {
        let mut body = body.clone();
        if body["Image"].is_null() {
            body["Image"] = json!(self.image);
        }
        self.both().map(|mut api| {
            let created = api
                .post(&format!("/containers/create?name={name}"), &body)
                .ok()
                .json();
            created["Id"]
                .as_str()
                .expect("a created container has an id")
                .to_owned()
        })
    }

    /// Runs the same container in both to its end; the answers are what they wrote to both streams.
    pub fn output(&self, body: &Value) -> [String; 2] {
        let name = format!("out-{}", unique());
        let ids = self.create(&name, body);
        let mut outputs = Vec::new();
        for (mut api, id) in self.both().into_iter().zip(&ids) {
            api.post(&format!("/containers/{id}/start"), &Value::Null)
                .ok();
            api.post(&format!("/containers/{id}/wait"), &Value::Null)
                .ok();
            let raw = api
                .get(&format!("/containers/{id}/logs?stdout=1&stderr=1"))
                .ok()
                .body;
            let tty = body["Tty"] == true;
            let text = if tty { raw } else { frames(&raw) };
            outputs.push(
                String::from_utf8_lossy(&text)
                    .replace(id.as_str(), "ID")
                    .replace(&id[..12], "ID"),
            );
            api.delete(&format!("/containers/{id}?force=1&v=1")).ok();
        }
        outputs.try_into().expect("there are two engines")
    }
}

/// The newest version that Debian's Docker speaks.
pub const VERSION: &str = "/v1.45";

/// The bytes inside of a multiplexed stream.
pub fn frames(mut raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    while let Some(([_, _, _, _, length @ ..], rest)) = raw.split_first_chunk::<8>() {
        let length = (u32::from_be_bytes(*length) as usize).min(rest.len());
        text.extend_from_slice(&rest[..length]);
        raw = &rest[length..];
    }
    text
}

/// Compiles `probe.c`; one binary for each run of the tests.
fn probe() -> Vec<u8> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/compat/probe.c");
    let program = std::env::temp_dir().join(format!("probe-{}", unique()));
    run(Command::new("cc")
        .args(["-static", "-O1", "-o"])
        .arg(&program)
        .arg(source))
    .ok();
    let bytes = std::fs::read(&program).expect("cc wrote it");
    std::fs::remove_file(&program).expect("it is ours");
    bytes
}
