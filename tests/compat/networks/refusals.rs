//! What both engines refuse about networks, in which words.

use serde_json::{Value, json};

use super::anonymous;
use crate::difference::{Facts, assert_same};
use crate::pair::Pair;
use crate::support::{Client, Network};

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
