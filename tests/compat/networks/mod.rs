//! Networks beside Docker's: documents, refusals, and the verbs of the real command line. Each engine has a host of its
//! own.

mod command_line;
mod refusals;

use serde_json::{Value, json};

use crate::documents::{Findings, compare};
use crate::pair::Pair;
use crate::support::Network;

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
