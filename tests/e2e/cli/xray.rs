//! `proa xray`: what the kernel really does for a container.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Agent, Image, Network, Ran, poll};

/// One web server for everybody, and one for itself alone.
const WEB: &str = "mkdir /www; httpd -p 127.0.0.1:90 -h /www; exec httpd -f -p 80 -h /www";

fn hop<'a>(path: &'a Value, kind: &str) -> &'a Value {
    let hops = path["hops"].as_array().expect("a list of hops");
    let found = hops.iter().find(|hop| hop["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {path:#}"))
}

/// Where a web server runs: `web`, port 80 published, and 90 which listens for itself alone.
fn start(agent: &Agent) {
    let image = agent.load(&Image::busybox());
    let run = "run -d --name web -p 8080:80 -p 8090:90";
    let mut words: Vec<&str> = run.split(' ').collect();
    words.extend([&image, "sh", "-c", WEB]);
    agent.proa(&words).ok();
    poll(Duration::from_secs(60), "the server listens", || {
        follow(agent, &["--no-probe", "web", "80"]).code == 0
    });
}

fn follow(agent: &Agent, words: &[&str]) -> Ran {
    agent.proa(&[&["xray", "path"], words].concat())
}

#[test]
fn a_request_is_followed_to_the_process_that_listens() {
    let network = Network::new();
    let agent = Agent::start_in(&network);
    start(&agent);
    let path = follow(&agent, &["--json", "web", "80"]).ok();
    let path: Value = serde_json::from_str(&path).expect("JSON");
    let hops = path["hops"].as_array().expect("a list of hops");
    let kinds: Vec<&str> = hops.iter().filter_map(|hop| hop["kind"].as_str()).collect();
    let expected = "host rule bridge veth interface namespace socket process";
    assert_eq!(kinds, expected.split(' ').collect::<Vec<_>>());
    assert_eq!(hop(&path, "host")["name"], "0.0.0.0:8080/tcp");
    assert_eq!(hop(&path, "interface")["name"], "eth0");
    let detail = |kind: &str| hop(&path, kind)["detail"].to_string();
    assert!(detail("rule").contains("8080"), "{path:#}");
    assert!(detail("process").contains("httpd"), "{path:#}");
    let probed = |kind: &str| hop(&path, kind)["probed"]["packets"].as_u64();
    assert!(
        probed("rule") >= Some(3) && probed("veth") >= Some(18),
        "the kernel counts the probes: {path:#}"
    );
    let nanoseconds = hop(&path, "socket")["nanoseconds"].as_u64();
    assert!(nanoseconds > Some(0), "{path:#}");
    for hop in hops {
        let timed = hop["nanoseconds"].is_u64();
        assert!(
            timed != hop["unmeasured"].is_string(),
            "a time, or why there is none: {hop}"
        );
    }
    let shown = follow(&agent, &["web", "80"]).ok();
    assert!(
        shown.contains("eth0") && shown.contains("handshake in"),
        "{shown}"
    );
    agent.assert_nothing_left();
}

#[test]
fn a_request_that_leads_nowhere_is_followed_to_where_it_ends() {
    let network = Network::new();
    let agent = Agent::start_in(&network);
    start(&agent);
    let nobody = follow(&agent, &["web", "81"]);
    assert!(
        nobody.code == 1 && nobody.out.contains("nothing listens on port 81"),
        "{nobody:?}"
    );
    let alone = follow(&agent, &["web", "90"]);
    assert!(
        alone.code == 1 && alone.out.contains("at 127.0.0.1 only"),
        "{alone:?}"
    );
    follow(&agent, &["nobody", "80"]).failed(1);
    agent.proa(&["stop", "-t", "0", "web"]).ok();
    let ended = follow(&agent, &["web", "80"]).failed(1);
    assert!(ended.contains("is not running"), "{ended}");
    agent.assert_nothing_left();
}
