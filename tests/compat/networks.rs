//! Networks beside Docker's: documents, refusals, events, and the verbs of the real command line. Each engine has a host
//! of its own.

use serde_json::{Value, json};

use crate::difference::{Facts, assert_same};
use crate::documents::{Findings, compare};
use crate::pair::Pair;
use crate::support::{Agent, Client, Image, Network};

/// Hardware addresses are chosen at random by both.
fn without_chance(mut document: Value) -> Value {
    match &mut document {
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                *value = match (key.as_str(), value.as_str()) {
                    ("MacAddress" | "EndpointID" | "NetworkID" | "SandboxKey", Some(text))
                        if !text.is_empty() =>
                    {
                        json!("chosen")
                    }
                    ("DNSNames", None) => json!(anonymous(&value.to_string())),
                    _ => without_chance(value.take()),
                };
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| *item = without_chance(item.take())),
        _ => {}
    }
    document
}

/// Ids in keys and names made of them.
fn by_name(mut network: Value) -> Value {
    if let Some(inside) = network["Containers"].as_object() {
        let renamed = inside.values().map(|one| {
            (
                one["Name"].as_str().unwrap_or_default().to_owned(),
                one.clone(),
            )
        });
        network["Containers"] = Value::Object(renamed.collect());
    }
    network
}

#[test]
fn a_network_s_documents_are_docker_s() {
    let (ours, peer) = (Network::new(), Network::new());
    let pair = Pair::start_in(&ours, &peer);
    let mut findings = Findings::default();
    let bodies = [
        json!({ "Name": "plain" }),
        json!({
            "Name": "chosen", "Internal": true, "Attachable": true, "Labels": { "a": "b" },
            "Options": { "com.docker.network.driver.mtu": "1400", "com.docker.network.bridge.name": "chosen0" },
            "IPAM": { "Config": [{ "Subnet": "10.77.0.0/16", "IPRange": "10.77.5.0/24", "Gateway": "10.77.5.254", "AuxiliaryAddresses": { "router": "10.77.5.5" } }] },
        }),
        json!({ "Name": "six", "EnableIPv6": true, "IPAM": { "Config": [{ "Subnet": "fd00:77::/64" }] } }),
    ];
    for body in &bodies {
        let [a, b] = pair
            .both()
            .map(|mut api| api.post("/networks/create", body).ok().json());
        findings.check(move || compare("network create", [a, b]));
    }
    for name in ["bridge", "host", "none", "plain", "chosen", "six"] {
        let documents = pair.get(&format!("/networks/{name}"));
        findings.check(move || compare(&format!("network {name}"), documents));
    }
    let listed = pair.get("/networks?filters=%7B%22type%22%3A%5B%22custom%22%5D%7D");
    findings.check(move || compare("network list", listed));
    container(&pair, &mut findings);
    findings.none();
}

/// A container in two networks, as each of its documents shows it.
fn container(pair: &Pair, findings: &mut Findings) {
    let body = json!({
        "Cmd": ["sleep", "1000"], "Hostname": "web", "ExposedPorts": { "81/udp": {} },
        "HostConfig": { "NetworkMode": "plain", "PortBindings": { "80/tcp": [{ "HostPort": "8080" }] } },
        "NetworkingConfig": { "EndpointsConfig": {
            "plain": { "Aliases": ["www"] },
            "chosen": { "IPAMConfig": { "IPv4Address": "10.77.5.9" } },
        } },
    });
    let ids = pair.create("web", &body);
    let plain = pair.create("plain-one", &json!({ "Cmd": ["sleep", "1000"] }));
    let seen = |scope: &'static str, findings: &mut Findings, ids: &[String; 2]| {
        let mut documents = Vec::new();
        for (mut api, id) in pair.both().into_iter().zip(ids) {
            let found = api.get(&format!("/containers/{id}/json")).ok().json();
            documents.push(without_chance(found["NetworkSettings"].clone()));
        }
        let documents: [Value; 2] = documents.try_into().expect("there are two engines");
        findings.check(move || compare(scope, documents));
    };
    seen("networks of a created container", findings, &ids);
    for both in [&ids, &plain] {
        for (mut api, id) in pair.both().into_iter().zip(both) {
            api.post(&format!("/containers/{id}/start"), &Value::Null)
                .ok();
        }
    }
    seen("networks of a running container", findings, &ids);
    seen("networks of a running container", findings, &plain);
    for name in ["plain", "chosen", "bridge"] {
        let documents = pair
            .get(&format!("/networks/{name}"))
            .map(by_name)
            .map(without_chance);
        findings.check(move || compare("network with containers", documents));
    }
    let ports = pair.get("/containers/json").map(|list| {
        let rows = list.as_array().cloned().unwrap_or_default();
        let rows = rows.into_iter().map(|row| {
            // Docker lists them in no order.
            let mut ports = row["Ports"].as_array().cloned().unwrap_or_default();
            ports.sort_by_key(Value::to_string);
            (
                row["Names"][0].as_str().unwrap_or_default().to_owned(),
                Value::Array(ports),
            )
        });
        Value::Object(rows.collect())
    });
    findings.check(move || compare("ports in the list", ports));
    for (mut api, id) in pair.both().into_iter().zip(&ids) {
        api.post(&format!("/containers/{id}/stop?t=0"), &Value::Null)
            .ok();
    }
    seen("networks of an ended container", findings, &ids);
}

struct Request(&'static str, &'static str, &'static str);

/// Requests to engines that hold a network `held` with a running container `up`, a network `free`, and a container
/// `down` that does not run.
const REQUESTS: &[Request] = &[
    Request("GET", "/networks/nothing", ""),
    Request("DELETE", "/networks/nothing", ""),
    Request("DELETE", "/networks/bridge", ""),
    Request("DELETE", "/networks/host", ""),
    Request("DELETE", "/networks/held", ""),
    Request("POST", "/networks/create", "{}"),
    Request("POST", "/networks/create", "rubbish"),
    Request("POST", "/networks/create", r#"{"Name":"held"}"#),
    Request("POST", "/networks/create", r#"{"Name":"bridge"}"#),
    Request("POST", "/networks/create", r#"{"Name":"none"}"#),
    Request("POST", "/networks/create", r#"{"Name":"x","Driver":"odd"}"#),
    Request(
        "POST",
        "/networks/create",
        r#"{"Name":"x","Driver":"host"}"#,
    ),
    Request(
        "POST",
        "/networks/create",
        r#"{"Name":"x","Driver":"null"}"#,
    ),
    Request(
        "POST",
        "/networks/create",
        r#"{"Name":"x","IPAM":{"Config":[{"Subnet":"10.1.0.1/16"}]}}"#,
    ),
    Request(
        "POST",
        "/networks/create",
        r#"{"Name":"x","IPAM":{"Config":[{"Subnet":"10.1"}]}}"#,
    ),
    Request(
        "POST",
        "/networks/create",
        r#"{"Name":"x","IPAM":{"Config":[{"Subnet":"10.77.3.0/24"}]}}"#,
    ),
    Request(
        "POST",
        "/networks/create",
        r#"{"Name":"x","IPAM":{"Config":[{"Subnet":"10.1.0.0/16","Gateway":"10.2.0.1"}]}}"#,
    ),
    Request(
        "POST",
        "/networks/create",
        r#"{"Name":"x","IPAM":{"Config":[{"Subnet":"10.1.0.0/16","IPRange":"10.2.0.0/24"}]}}"#,
    ),
    Request(
        "POST",
        "/networks/create",
        r#"{"Name":"x","IPAM":{"Driver":"odd"}}"#,
    ),
    Request("POST", "/networks/nothing/connect", r#"{"Container":"up"}"#),
    Request(
        "POST",
        "/networks/free/connect",
        r#"{"Container":"nobody"}"#,
    ),
    Request("POST", "/networks/held/connect", r#"{"Container":"up"}"#),
    Request("POST", "/networks/host/connect", r#"{"Container":"up"}"#),
    Request("POST", "/networks/none/connect", r#"{"Container":"up"}"#),
    Request("POST", "/networks/free/connect", r#"{"Container":"alone"}"#),
    Request(
        "POST",
        "/networks/free/connect",
        r#"{"Container":"up","EndpointConfig":{"IPAMConfig":{"IPv4Address":"172.30.0.9"}}}"#,
    ),
    Request(
        "POST",
        "/networks/free/connect",
        r#"{"Container":"up","EndpointConfig":{"IPAMConfig":{"IPv4Address":"x"}}}"#,
    ),
    Request("POST", "/networks/free/disconnect", r#"{"Container":"up"}"#),
    Request(
        "POST",
        "/networks/free/disconnect",
        r#"{"Container":"down"}"#,
    ),
    Request(
        "POST",
        "/networks/free/disconnect",
        r#"{"Container":"nobody"}"#,
    ),
    Request(
        "POST",
        "/networks/nothing/disconnect",
        r#"{"Container":"up"}"#,
    ),
    Request(
        "GET",
        "/networks?filters=%7B%22odd%22%3A%5B%22x%22%5D%7D",
        "",
    ),
    Request(
        "GET",
        "/networks?filters=%7B%22type%22%3A%5B%22odd%22%5D%7D",
        "",
    ),
    Request(
        "GET",
        "/networks?filters=%7B%22dangling%22%3A%5B%22odd%22%5D%7D",
        "",
    ),
    Request(
        "POST",
        "/networks/prune?filters=%7B%22odd%22%3A%5B%22x%22%5D%7D",
        "",
    ),
    Request("POST", "/containers/lost/start", ""),
    Request(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"PortBindings":{"x/tcp":[{"HostPort":"1"}]}}}"#,
    ),
    Request(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"x"}]}}}"#,
    ),
];

fn prepare(api: &mut Client) {
    for body in [
        json!({ "Name": "held", "IPAM": { "Config": [{ "Subnet": "10.77.0.0/16" }] } }),
        json!({ "Name": "free" }),
    ] {
        api.post("/networks/create", &body).ok();
    }
    for (name, mode) in [
        ("up", "held"),
        ("down", "held"),
        ("alone", "none"),
        ("lost", "gone"),
    ] {
        let body = json!({ "Image": "localhost/pair:1", "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": mode } });
        api.post(&format!("/containers/create?name={name}"), &body)
            .ok();
    }
    for name in ["up", "alone"] {
        api.post(&format!("/containers/{name}/start"), &Value::Null)
            .ok();
    }
}

/// Ids are replaced by what they stand for.
fn anonymous(words: &str) -> String {
    let hex = |part: &str| part.len() >= 12 && part.chars().all(|c| c.is_ascii_hexdigit());
    let parts = words.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    parts
        .map(|part| {
            let bare = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if hex(bare) {
                part.replace(bare, "ID")
            } else {
                part.to_owned()
            }
        })
        .collect()
}

#[test]
fn bad_requests_about_networks_are_answered_as_docker_does() {
    let (ours, peer) = (Network::new(), Network::new());
    let pair = Pair::start_in(&ours, &peer);
    let [ours, peer] = pair.both().map(|mut api| {
        prepare(&mut api);
        let mut facts = Facts::new();
        for Request(method, path, body) in REQUESTS {
            let answer = api.send(
                method,
                path,
                &[("Content-Type", "application/json")],
                body.as_bytes(),
            );
            let words = anonymous(answer.json_or_text().trim_end());
            facts.insert(
                format!("{method} {path} {body}"),
                format!("{} {words}", answer.status),
            );
            api.delete("/networks/x");
        }
        facts
    });
    assert_same("network error", &ours, &peer);
}

#[test]
fn the_command_line_s_network_verbs_work() {
    let network = Network::new();
    let agent = Agent::start_in(&network);
    let image = agent.load(&Image::busybox());
    let docker = |words: &[&str]| agent.docker(words).ok();
    docker(&[
        "network",
        "create",
        "--subnet",
        "10.77.0.0/24",
        "--label",
        "a=b",
        "net",
    ]);
    docker(&[
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "net",
        "--ip",
        "10.77.0.9",
        "--network-alias",
        "www",
        "-p",
        "8080:80",
        &image,
        "httpd",
        "-f",
    ]);
    assert_eq!(
        docker(&["port", "web"]),
        "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n"
    );
    let listed = docker(&["ps", "--format", "{{.Ports}}"]);
    assert_eq!(listed, "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp\n");
    let same = agent.proa(&["ps", "--format", "{{.Ports}}"]).ok();
    assert_eq!(same, listed);
    let pinged = docker(&[
        "run",
        "--rm",
        "--network",
        "net",
        &image,
        "ping",
        "-c1",
        "www",
    ]);
    assert!(pinged.contains("10.77.0.9"), "{pinged}");
    docker(&["run", "-d", "--name", "other", &image, "sleep", "1000"]);
    docker(&["network", "connect", "--alias", "second", "net", "other"]);
    docker(&["exec", "web", "ping", "-c1", "-W3", "second"]);
    let inside = docker(&[
        "network",
        "inspect",
        "-f",
        "{{range .Containers}}{{.Name}} {{end}}",
        "net",
    ]);
    assert!(
        inside.contains("web") && inside.contains("other"),
        "{inside}"
    );
    docker(&["network", "disconnect", "net", "other"]);
    let refused = agent.docker(&["network", "rm", "net"]).failed(1);
    assert!(refused.contains("has active endpoints"), "{refused}");
    docker(&["rm", "-f", "web", "other"]);
    assert_eq!(
        docker(&["network", "ls", "-q", "--filter", "label=a=b"])
            .lines()
            .count(),
        1
    );
    let pruned = docker(&["network", "prune", "-f"]);
    assert_eq!(pruned, "Deleted Networks:\nnet\n\n");
    assert_eq!(
        docker(&["network", "ls", "--format", "{{.Name}}"]),
        "bridge\nhost\nnone\n"
    );
    agent.assert_nothing_left();
}

#[test]
fn our_command_line_s_network_verbs_work() {
    let network = Network::new();
    let agent = Agent::start_in(&network);
    let image = agent.load(&Image::busybox());
    let proa = |words: &[&str]| agent.proa(words).ok();
    proa(&["network", "create", "--subnet", "10.78.0.0/24", "net"]);
    proa(&[
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "name=net,alias=www,ip=10.78.0.9",
        "-p",
        "8081:80",
        "--net-rate",
        "in=100mbit,out=50mbit",
        &image,
        "httpd",
        "-f",
    ]);
    assert_eq!(proa(&["port", "web", "80"]), "0.0.0.0:8081\n[::]:8081\n");
    proa(&[
        "run",
        "--rm",
        "--network",
        "net",
        &image,
        "ping",
        "-c1",
        "www",
    ]);
    proa(&["run", "-d", "--name", "other", &image, "sleep", "1000"]);
    proa(&["network", "connect", "net", "other"]);
    proa(&["exec", "other", "ping", "-c1", "web"]);
    proa(&["network", "disconnect", "net", "other"]);
    proa(&["rm", "-f", "web", "other"]);
    assert_eq!(proa(&["network", "rm", "net"]), "net\n");
    agent.assert_nothing_left();
}
