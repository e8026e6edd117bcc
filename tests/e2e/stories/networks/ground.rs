//! A host and an outside for one test, with an engine on the host.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::Engine;
use crate::support::{Network, Ran, poll, run};

/// A web server of one page.
pub(super) const WEB: &str = "mkdir -p /www && hostname > /www/name && exec httpd -f -p 80 -h /www";

pub(super) struct Ground {
    pub(super) network: Network,
    pub(super) engine: Engine,
    before: Vec<String>,
}

impl Ground {
    pub(super) fn new() -> Self {
        let network = Network::new();
        let before = network.traces();
        let engine = Engine::start_in(&network);
        Self {
            network,
            engine,
            before,
        }
    }

    /// Creates and starts a shell; the document's other fields are given.
    #[track_caller]
    pub(super) fn start(&self, script: &str, more: &Value) -> String {
        let mut body = json!({ "Image": self.engine.image, "Cmd": ["sh", "-c", script] });
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        let id = self.engine.agent.create(&body);
        self.engine.post(&format!("/containers/{id}/start"));
        id
    }

    /// A web server with published ports, and the `HostConfig`'s other fields.
    #[track_caller]
    pub(super) fn web(&self, ports: &Value, host: &Value) -> String {
        let mut config = json!({ "PortBindings": ports });
        for (key, value) in host.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let id = self.start(WEB, &json!({ "HostConfig": config, "Hostname": "web" }));
        poll(Duration::from_secs(20), "the web server listens", || {
            self.engine
                .exec(&id, &["wget", "-qO-", "http://127.0.0.1/name"])
                .0
                == 0
        });
        id
    }

    pub(super) fn address(&self, id: &str, network: &str) -> String {
        let found = self.engine.agent.inspect(id);
        let address = &found["NetworkSettings"]["Networks"][network]["IPAddress"];
        address.as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(super) fn network(&self, name: &str, more: &Value) -> String {
        let mut body = json!({ "Name": name });
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        let mut api = self.engine.agent.api();
        let created = api.post("/networks/create", &body).ok().json();
        created["Id"]
            .as_str()
            .expect("a network has an id")
            .to_owned()
    }

    /// Removes containers and networks, stops the engine, and fails if the host's network is not as it was.
    #[track_caller]
    pub(super) fn assert_nothing_left(self) {
        let Self {
            network,
            engine,
            before,
        } = self;
        let mut api = engine.agent.api();
        for container in api
            .get("/containers/json?all=1")
            .ok()
            .json()
            .as_array()
            .into_iter()
            .flatten()
        {
            let id = container["Id"].as_str().unwrap_or_default();
            api.delete(&format!("/containers/{id}?force=1&v=1"));
        }
        api.post("/networks/prune", &Value::Null).ok();
        engine.agent.assert_nothing_left();
        // Namespaces end some time after their last descriptor.
        let started = std::time::Instant::now();
        let mut left = leftovers(&network, &before);
        while !left.is_empty() && started.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(50));
            left = leftovers(&network, &before);
        }
        assert!(left.is_empty(), "left in the host's network: {left:#?}");
    }
}

/// How the name of the default network's bridge ends: its id does not differ between engines.
const DEFAULT_BRIDGE: &str = "-2f1c6d0b7a";

/// What there is more than before; the default network stays for the next container: one bridge, its route, our table.
fn leftovers(network: &Network, before: &[String]) -> Vec<String> {
    let mut left = network.traces();
    left.retain(|line| !before.contains(line));
    left.retain(|line| !line.contains("table inet proa") && !line.contains(DEFAULT_BRIDGE));
    left
}

pub(super) fn curl(mut at: Command, url: &str) -> Ran {
    run(at.args(["-gsS", "--max-time", "5", url]))
}

pub(super) fn published(container: &str, host: &str) -> Value {
    json!({ container: [{ "HostPort": host }] })
}
