//! Networks: containers that reach each other, the world, and are reached through published ports. Each test has a host
//! and an outside of its own.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::Engine;
use crate::support::network::{HOST, HOST6, OUTSIDE};
use crate::support::{Network, Ran, poll, run};

/// A web server of one page.
const WEB: &str = "mkdir -p /www && hostname > /www/name && exec httpd -f -p 80 -h /www";

struct Ground {
    network: Network,
    engine: Engine,
    before: Vec<String>,
}

impl Ground {
    fn new() -> Self {
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
    fn start(&self, script: &str, more: &Value) -> String {
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
    fn web(&self, ports: &Value, host: &Value) -> String {
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

    fn address(&self, id: &str, network: &str) -> String {
        let found = self.engine.agent.inspect(id);
        let address = &found["NetworkSettings"]["Networks"][network]["IPAddress"];
        address.as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn network(&self, name: &str, more: &Value) -> String {
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
    fn assert_nothing_left(self) {
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
        let after = network.traces();
        let left: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
        // The default network stays for the next container.
        let left: Vec<_> = left.into_iter().filter(|line| !is_default(line)).collect();
        assert!(left.is_empty(), "left in the host's network: {left:#?}");
    }
}

/// What stays of the default network: its bridge, its route and our table.
fn is_default(line: &str) -> bool {
    line.contains("table inet proa") || line.contains("172.17.0.0/16") || line.starts_with('p')
}

fn curl(mut at: Command, url: &str) -> Ran {
    run(at.args(["-gsS", "--max-time", "5", url]))
}

fn published(container: &str, host: &str) -> Value {
    json!({ container: [{ "HostPort": host }] })
}

#[test]
fn a_published_port_answers_on_the_host_and_from_outside_until_the_container_stops() {
    let ground = Ground::new();
    let id = ground.web(&published("80/tcp", "8080"), &json!({}));
    let host = || ground.network.host("curl");
    let outside = || ground.network.outside("curl");
    assert_eq!(curl(host(), "http://127.0.0.1:8080/name").ok(), "web\n");
    assert_eq!(curl(host(), "http://[::1]:8080/name").ok(), "web\n");
    assert_eq!(
        curl(host(), &format!("http://{HOST}:8080/name")).ok(),
        "web\n"
    );
    assert_eq!(
        curl(outside(), &format!("http://{HOST}:8080/name")).ok(),
        "web\n"
    );
    assert_eq!(
        curl(outside(), &format!("http://[{HOST6}]:8080/name")).ok(),
        "web\n"
    );
    let found = ground.engine.agent.inspect(&id);
    let shown = &found["NetworkSettings"]["Ports"]["80/tcp"];
    assert_eq!(
        shown[0],
        json!({ "HostIp": "0.0.0.0", "HostPort": "8080" }),
        "{shown}"
    );
    ground.engine.post(&format!("/containers/{id}/stop?t=0"));
    assert_ne!(curl(host(), "http://127.0.0.1:8080/name").code, 0);
    ground.assert_nothing_left();
}

#[test]
fn containers_reach_one_another_and_the_world_outside() {
    let ground = Ground::new();
    let web = ground.web(&json!({}), &json!({}));
    let address = ground.address(&web, "bridge");
    let other = ground.start("sleep 1000", &json!({}));
    let (code, page) = ground.engine.exec(
        &other,
        &["wget", "-T5", "-qO-", &format!("http://{address}/name")],
    );
    assert_eq!((code, page.as_str()), (0, "web\n"));
    let (code, said) = ground.engine.exec(&other, &["ping", "-c1", "-W5", OUTSIDE]);
    assert_eq!(code, 0, "{said}");
    // What is not published cannot be reached by routing either.
    let mut route = ground.network.outside("ip");
    run(route.args(["route", "add", "172.16.0.0/12", "via", HOST])).ok();
    assert_ne!(
        curl(
            ground.network.outside("curl"),
            &format!("http://{address}/name")
        )
        .code,
        0
    );
    ground.assert_nothing_left();
}

#[test]
fn a_taken_port_is_refused_at_once_and_nothing_is_left_of_the_try() {
    let ground = Ground::new();
    let first = ground.web(&published("80/tcp", "8080"), &json!({}));
    let body = json!({
        "Image": ground.engine.image, "Cmd": ["sleep", "1000"],
        "HostConfig": { "PortBindings": published("80/tcp", "8080") },
    });
    let second = ground.engine.agent.create(&body);
    let mut api = ground.engine.agent.api();
    let refused = api.post(&format!("/containers/{second}/start"), &Value::Null);
    assert_eq!(refused.status, 500);
    let told = refused.text();
    assert!(
        told.contains("driver failed programming external connectivity")
            && told.contains("port is already allocated"),
        "{told}"
    );
    let bridge = api.get("/networks/bridge").ok().json();
    assert_eq!(
        bridge["Containers"].as_object().map(serde_json::Map::len),
        Some(1),
        "{bridge}"
    );
    ground.engine.post(&format!("/containers/{first}/stop?t=0"));
    ground.engine.post(&format!("/containers/{second}/start"));
    ground.assert_nothing_left();
}
