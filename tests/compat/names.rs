//! What a container is told of others and of resolvers, beside Docker's: `--link` in `/etc/hosts` and the environment,
//! `--dns` and its like in `/etc/resolv.conf`, `host-gateway`.

use serde_json::{Value, json};

use crate::difference::{Facts, assert_same};
use crate::pair::{Pair, frames};
use crate::support::{Client, Network};

/// Shows what the engine wrote.
const SHOW: &str = "env; cat /etc/hosts /etc/resolv.conf";

/// Each line, without those of names that only we write, whichever address a container got. Docker before 27 wrote
/// `fe00::0` for `fe00::`.
fn lines(output: &str) -> Facts {
    let output = output.replace("00::0\t", "00::\t");
    let lines = output.lines().map(str::trim_end);
    lines
        .filter(|line| {
            !(line.is_empty() || line.contains("host.docker.internal") || line.starts_with('#'))
        })
        .map(|line| (own(line), String::new()))
        .collect()
}

fn own(line: &str) -> String {
    match line.strip_suffix("\tweb") {
        Some(_) => "ADDRESS\tweb".to_owned(),
        None => line.to_owned(),
    }
}

fn start(pair: &Pair, name: &str, body: &Value) {
    for (mut api, id) in pair.both().into_iter().zip(pair.create(name, body)) {
        api.post(&format!("/containers/{id}/start"), &Value::Null)
            .ok();
    }
}

fn database(pair: &Pair) {
    let ports = [
        "5432/tcp", "53/udp", "53/tcp", "7000/tcp", "7001/tcp", "7002/tcp",
    ];
    let exposed: serde_json::Map<_, _> = ports
        .map(|port| (port.to_owned(), json!({})))
        .into_iter()
        .collect();
    let body = json!({
        "Cmd": ["sleep", "1000"], "Hostname": "data", "ExposedPorts": exposed,
        "Env": ["A=b=c", "HOME=/x", "odd"],
    });
    start(pair, "db", &body);
}

fn exec(api: &mut Client, container: &str, command: &[&str]) -> String {
    let body = json!({ "Cmd": command, "AttachStdout": true });
    let created = api
        .post(&format!("/containers/{container}/exec"), &body)
        .ok()
        .json();
    let id = created["Id"].as_str().expect("an exec has an id");
    let raw = api
        .post(&format!("/exec/{id}/start"), &json!({ "Detach": false }))
        .ok()
        .body;
    String::from_utf8_lossy(&frames(&raw)).into_owned()
}

#[test]
fn links_on_the_default_network_tell_what_docker_s_tell() {
    let (ours, peer) = (Network::new(), Network::new());
    let pair = Pair::start_in(&ours, &peer);
    database(&pair);
    let linked = json!({
        "Cmd": ["sh", "-c", SHOW], "Hostname": "web", "Env": ["STORE_PORT=mine"],
        "HostConfig": { "Links": ["db:store", "db:my-db", "db"] },
    });
    let [a, b] = pair.output(&linked).map(|output| lines(&output));
    assert!(b.contains_key("STORE_PORT_5432_TCP_PORT=5432"), "{b:?}");
    assert_same("linked container", &a, &b);
    let body = json!({ "Cmd": ["sleep", "1000"], "Hostname": "web", "HostConfig": { "Links": ["db:store"] } });
    start(&pair, "web", &body);
    let [a, b] = pair
        .both()
        .map(|mut api| lines(&exec(&mut api, "web", &["env"])));
    assert_same("exec in a linked container", &a, &b);
}

#[test]
fn links_to_what_does_not_run_are_refused_as_docker_does() {
    let (ours, peer) = (Network::new(), Network::new());
    let pair = Pair::start_in(&ours, &peer);
    pair.create("down", &json!({ "Cmd": ["true"] }));
    pair.create(
        "apart",
        &json!({ "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": "none" } }),
    );
    let [a, b] = pair.both().map(|mut api| {
        let mut facts = Facts::new();
        api.post("/containers/apart/start", &Value::Null).ok();
        for other in ["nobody", "down", "apart:a"] {
            let body =
                json!({ "Image": pair.image, "Cmd": ["true"], "HostConfig": { "Links": [other] } });
            let mut answer = api.post("/containers/create?name=web", &body);
            facts.insert(
                format!("create {other}"),
                words(&answer.json_or_text(), answer.status),
            );
            answer = api.post("/containers/web/start", &Value::Null);
            facts.insert(
                format!("start {other}"),
                words(&answer.json_or_text(), answer.status),
            );
            api.delete("/containers/web?force=1");
        }
        facts
    });
    assert_same("link error", &a, &b);
}

/// A refusal, whatever the ids in it.
fn words(text: &str, status: u16) -> String {
    let id = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = text
        .split_whitespace()
        .map(|word| if id(&word) { "ID" } else { word });
    let success = matches!(status, 200..=299);
    let words = if success {
        String::new()
    } else {
        words.collect::<Vec<_>>().join(" ")
    };
    format!("{status} {words}")
}

#[test]
fn resolvers_and_the_host_are_told_as_docker_does() {
    let (ours, peer) = (Network::new(), Network::new());
    let pair = Pair::start_in(&ours, &peer);
    for mut api in pair.both() {
        api.post("/networks/create", &json!({ "Name": "net" })).ok();
    }
    let wishes = [
        json!({}),
        json!({ "Dns": ["10.1.1.1", "10.1.1.2"], "DnsSearch": ["sea", "harbour.sea"], "DnsOptions": ["ndots:2", "timeout:1"] }),
        json!({ "DnsSearch": ["."], "DnsOptions": ["use-vc"] }),
        json!({ "ExtraHosts": ["gate:host-gateway", "six:fd00::1"] }),
    ];
    for (mode, wish) in ["bridge", "net"]
        .iter()
        .flat_map(|mode| wishes.iter().map(move |wish| (mode, wish)))
    {
        // Ours is the host as this network reaches it, Docker's the default bridge whatever the network.
        if *mode == "net" && wish["ExtraHosts"].is_array() {
            continue;
        }
        let mut host = wish.clone();
        host["NetworkMode"] = json!(mode);
        let body = json!({ "Cmd": ["sh", "-c", SHOW], "Hostname": "web", "HostConfig": host });
        let [a, b] = pair.output(&body).map(|output| lines(&output));
        assert_same(&format!("names in {mode}"), &a, &b);
    }
}
