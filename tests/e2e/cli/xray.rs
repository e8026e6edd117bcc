//! `proa xray`: what the kernel really does for a container.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Agent, Image, Network, poll};

/// One web server for everybody, and one for itself alone.
const WEB: &str = "mkdir /www; httpd -p 127.0.0.1:90 -h /www; exec httpd -f -p 80 -h /www";

fn hop<'a>(path: &'a Value, kind: &str) -> &'a Value {
    let hops = path["hops"].as_array().expect("a list of hops");
    let found = hops.iter().find(|hop| hop["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {path:#}"))
}

#[test]
fn a_request_is_followed_to_the_process_that_listens() {
    let network = Network::new();
    let agent = Agent::start_in(&network);
    let image = agent.load(&Image::busybox());
    let run = [
        "run", "-d", "--name", "web", "-p", "8080:80", "-p", "8090:90",
    ];
    agent
        .proa(&[&run[..], &[&image, "sh", "-c", WEB]].concat())
        .ok();
    let follow = |words: &[&str]| agent.proa(&[&["xray", "path"], words].concat());
    poll(Duration::from_secs(20), "the server listens", || {
        follow(&["--no-probe", "web", "80"]).code == 0
    });
    let path: Value = serde_json::from_str(&follow(&["--json", "web", "80"]).ok()).expect("JSON");
    let hops = path["hops"].as_array().expect("a list of hops");
    let kinds: Vec<&str> = hops.iter().filter_map(|hop| hop["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "host",
            "rule",
            "bridge",
            "veth",
            "interface",
            "namespace",
            "socket",
            "process"
        ]
    );
    assert_eq!(hop(&path, "host")["name"], "0.0.0.0:8080/tcp");
    let rule = hop(&path, "rule");
    assert!(
        rule["detail"]
            .as_str()
            .is_some_and(|text| text.contains("8080")),
        "{rule}"
    );
    assert!(
        rule["probed"]["packets"].as_u64() >= Some(3),
        "the kernel counts the probes: {rule}"
    );
    assert!(
        hop(&path, "veth")["probed"]["packets"].as_u64() >= Some(18),
        "{path:#}"
    );
    assert_eq!(hop(&path, "interface")["name"], "eth0");
    assert!(
        hop(&path, "socket")["nanoseconds"].as_u64() > Some(0),
        "{path:#}"
    );
    assert!(
        hop(&path, "process")["detail"]
            .as_str()
            .is_some_and(|text| text.contains("httpd"))
    );
    for hop in hops {
        let timed = hop["nanoseconds"].is_u64();
        assert!(
            timed != hop["unmeasured"].is_string(),
            "a time, or why there is none: {hop}"
        );
    }
    let shown = follow(&["web", "80"]).ok();
    assert!(
        shown.contains("eth0") && shown.contains("handshake in"),
        "{shown}"
    );

    let nobody = follow(&["web", "81"]);
    assert!(
        nobody.code == 1 && nobody.out.contains("nothing listens on port 81"),
        "{nobody:?}"
    );
    let alone = follow(&["web", "90"]);
    assert!(
        alone.code == 1 && alone.out.contains("at 127.0.0.1 only"),
        "{alone:?}"
    );
    follow(&["nobody", "80"]).failed(1);
    agent.proa(&["stop", "-t", "0", "web"]).ok();
    assert!(follow(&["web", "80"]).failed(1).contains("is not running"));
    agent.proa(&["rm", "web"]).ok();
    agent.assert_nothing_left();
}
