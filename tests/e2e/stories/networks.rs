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
        &[
            "timeout",
            "3",
            "wget",
            "-qO-",
            &format!("http://{address}/name"),
        ],
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

#[test]
fn containers_on_a_network_of_their_own_know_each_other_by_name() {
    let ground = Ground::new();
    ground.network("net", &json!({}));
    let on_net = |aliases: &[&str]| json!({ "net": { "Aliases": aliases } });
    let web = ground.start(
        WEB,
        &json!({ "Hostname": "web", "HostConfig": { "NetworkMode": "net" }, "NetworkingConfig": { "EndpointsConfig": on_net(&["www", "shop"]) } }),
    );
    let client = ground.start(
        "sleep 1000",
        &json!({ "HostConfig": { "NetworkMode": "net" } }),
    );
    let stranger = ground.start("sleep 1000", &json!({}));
    let ask = |from: &str, name: &str| {
        ground.engine.exec(
            from,
            &[
                "timeout",
                "3",
                "wget",
                "-qO-",
                &format!("http://{name}/name"),
            ],
        )
    };
    poll(Duration::from_secs(20), "the web server listens", || {
        ask(&client, "web").0 == 0
    });
    let name = ground.engine.agent.inspect(&web)["Name"].as_str().unwrap()[1..].to_owned();
    for known in ["web", "www", "shop", &web[..12], &name] {
        assert_eq!(ask(&client, known), (0, "web\n".to_owned()), "{known}");
    }
    assert_ne!(ask(&stranger, "web").0, 0);
    let address = ground.address(&web, "net");
    assert_ne!(ask(&stranger, &address).0, 0, "networks are apart");
    let (_, resolver) = ground.engine.exec(&client, &["cat", "/etc/resolv.conf"]);
    assert!(resolver.contains("nameserver 127.0.0.11"), "{resolver}");
    let (_, reverse) = ground.engine.exec(&client, &["nslookup", &address]);
    assert!(reverse.contains(&format!("{name}.net")), "{reverse}");
    ground.assert_nothing_left();
}

#[test]
fn an_internal_network_has_no_way_out() {
    let ground = Ground::new();
    ground.network("inner", &json!({ "Internal": true }));
    let one = ground.start(
        WEB,
        &json!({ "Hostname": "web", "HostConfig": { "NetworkMode": "inner" } }),
    );
    let two = ground.start(
        "sleep 1000",
        &json!({ "HostConfig": { "NetworkMode": "inner" } }),
    );
    poll(Duration::from_secs(20), "the neighbour answers", || {
        ground
            .engine
            .exec(&two, &["timeout", "3", "wget", "-qO-", "http://web/name"])
            .0
            == 0
    });
    assert_ne!(
        ground.engine.exec(&two, &["ping", "-c1", "-W2", OUTSIDE]).0,
        0
    );
    assert_eq!(
        ground.engine.agent.inspect(&one)["NetworkSettings"]["Networks"]["inner"]["Gateway"],
        ""
    );
    ground.assert_nothing_left();
}

#[test]
fn a_running_container_is_connected_and_disconnected() {
    let ground = Ground::new();
    ground.network("net", &json!({}));
    let web = ground.start(
        WEB,
        &json!({ "Hostname": "web", "HostConfig": { "NetworkMode": "net" } }),
    );
    let client = ground.start("sleep 1000", &json!({}));
    let mut api = ground.engine.agent.api();
    let ask = || {
        ground.engine.exec(
            &client,
            &["timeout", "3", "wget", "-qO-", "http://web/name"],
        )
    };
    assert_ne!(ask().0, 0);
    api.post("/networks/net/connect", &json!({ "Container": client }))
        .ok();
    poll(Duration::from_secs(20), "the name is known", || {
        ask().0 == 0
    });
    let address = ground.address(&client, "net");
    let hosts = || ground.engine.exec(&client, &["cat", "/etc/hosts"]).1;
    assert!(hosts().contains(&address), "{}", hosts());
    let inside = api.get("/networks/net").ok().json();
    assert_eq!(
        inside["Containers"].as_object().map(serde_json::Map::len),
        Some(2),
        "{inside}"
    );
    let again = api.post("/networks/net/connect", &json!({ "Container": client }));
    assert_eq!(again.status, 403, "{}", again.text());
    let refused = api.delete("/networks/net");
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(
        refused.text().contains("has active endpoints"),
        "{}",
        refused.text()
    );
    api.post("/networks/net/disconnect", &json!({ "Container": client }))
        .ok();
    assert_ne!(ask().0, 0);
    assert!(!hosts().contains(&address), "{}", hosts());
    api.post("/networks/net/disconnect", &json!({ "Container": web }))
        .ok();
    api.delete("/networks/net").ok();
    ground.assert_nothing_left();
}

#[test]
fn an_address_is_what_was_asked_for_and_nobody_elses() {
    let ground = Ground::new();
    let ipam = json!({ "Config": [{ "Subnet": "10.77.0.0/24", "Gateway": "10.77.0.254" }] });
    ground.network("net", &json!({ "IPAM": ipam }));
    let at = |address: &str| {
        json!({
            "Image": ground.engine.image, "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": "net" },
            "NetworkingConfig": { "EndpointsConfig": { "net": {
                "IPAMConfig": { "IPv4Address": address }, "MacAddress": "02:00:00:00:00:07",
            } } },
        })
    };
    let mut api = ground.engine.agent.api();
    let first = ground.engine.agent.create(&at("10.77.0.9"));
    ground.engine.post(&format!("/containers/{first}/start"));
    let found = &ground.engine.agent.inspect(&first)["NetworkSettings"]["Networks"]["net"];
    assert_eq!(
        (
            &found["IPAddress"],
            &found["Gateway"],
            &found["MacAddress"],
            &found["IPPrefixLen"]
        ),
        (
            &json!("10.77.0.9"),
            &json!("10.77.0.254"),
            &json!("02:00:00:00:00:07"),
            &json!(24)
        )
    );
    for (address, status) in [("10.77.0.9", 403), ("10.78.0.9", 400)] {
        let other = ground.engine.agent.create(&at(address));
        let refused = api.post(&format!("/containers/{other}/start"), &Value::Null);
        assert_eq!(refused.status, status, "{}", refused.text());
    }
    ground.assert_nothing_left();
}

#[test]
fn a_download_survives_the_end_of_the_api_server_and_ports_stay_taken() {
    const SIZE: usize = 200 << 20;
    let ground = Ground::new();
    ground.network("net", &json!({}));
    let script = format!(
        "mkdir /www; dd if=/dev/zero of=/www/big bs=1M count={} 2>/dev/null; {WEB}",
        SIZE >> 20
    );
    let more = json!({ "Hostname": "web", "HostConfig": { "NetworkMode": "net", "PortBindings": published("80/tcp", "8080") } });
    let web = ground.start(&script, &more);
    let page = || {
        curl(
            ground.network.outside("curl"),
            &format!("http://{HOST}:8080/name"),
        )
    };
    poll(Duration::from_secs(60), "the web server listens", || {
        page().code == 0
    });
    let download = ground
        .network
        .outside("curl")
        .args([
            "-sS",
            "--limit-rate",
            "60M",
            "-o",
            "/dev/null",
            "-w",
            "%{size_download}",
        ])
        .arg(format!("http://{HOST}:8080/big"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    crate::crash::kill_serve(&ground.engine.agent);
    let done = download.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), SIZE.to_string());
    assert_eq!(page().ok(), "web\n");
    assert_eq!(
        curl(ground.network.host("curl"), "http://[::1]:8080/name").ok(),
        "web\n"
    );
    let taken = ground.engine.agent.create(&json!({
        "Image": ground.engine.image, "Cmd": ["true"], "HostConfig": { "PortBindings": published("80/tcp", "8080") },
    }));
    let refused = ground
        .engine
        .agent
        .api()
        .post(&format!("/containers/{taken}/start"), &Value::Null);
    assert_eq!(refused.status, 500, "{}", refused.text());
    let client = ground.start(
        "sleep 1000",
        &json!({ "HostConfig": { "NetworkMode": "net" } }),
    );
    let asked = ground.engine.exec(
        &client,
        &["timeout", "3", "wget", "-qO-", "http://web/name"],
    );
    assert_eq!(asked, (0, "web\n".to_owned()));
    let asks = ground.engine.exec(&web, &["nslookup", &client[..12]]);
    assert_eq!(asks.0, 0, "the names of before are answered: {}", asks.1);
    ground.assert_nothing_left();
}

#[test]
fn statistics_count_what_went_through_each_interface() {
    let ground = Ground::new();
    let id = ground.start("ping -c3 -i0.1 172.17.0.1; sleep 1000", &json!({}));
    let sent = || ground.engine.stats(&id)["networks"]["eth0"]["tx_packets"].as_u64();
    poll(Duration::from_secs(20), "three packets are counted", || {
        sent() >= Some(3)
    });
    let none = ground.engine.shell("sleep 1000", &json!({}));
    assert!(ground.engine.stats(&none)["networks"].is_null());
    ground.assert_nothing_left();
}

#[test]
fn networks_come_back_with_the_engine() {
    let mut ground = Ground::new();
    ground.network("net", &json!({ "Labels": { "a": "b" } }));
    let host = json!({ "NetworkMode": "net", "RestartPolicy": { "Name": "always" }, "PortBindings": published("80/tcp", "8080") });
    ground.start(WEB, &json!({ "Hostname": "web", "HostConfig": host }));
    let before = ground.engine.agent.api().get("/networks/net").ok().json();
    ground.engine.agent.stop();
    ground.engine.agent.start_again();
    assert_eq!(
        ground.engine.agent.api().get("/networks/net").ok().json(),
        before
    );
    let page = || curl(ground.network.host("curl"), "http://127.0.0.1:8080/name").code == 0;
    poll(Duration::from_secs(20), "the port answers", page);
    ground.assert_nothing_left();
}
