//! Each version of the API has its own fields: beside Docker as far as that speaks it, and by moby's version history
//! beyond.

use serde_json::{Value, json};

use crate::difference::{Facts, assert_same, facts};
use crate::documents::Findings;
use crate::pair::Pair;
use crate::support::{Agent, Client, Image, Network};

/// Those at whose borders something changed, as far as the peer goes.
const SHARED: &[&str] = &[
    "1.24", "1.27", "1.28", "1.40", "1.41", "1.42", "1.43", "1.44", "1.45",
];

const PATHS: &[&str] = &[
    "/containers/box/json",
    "/containers/json",
    "/containers/box/stats?stream=0&one-shot=1",
    "/containers/box/top",
    "/exec/EXEC/json",
    "/images/localhost/pair:1/json",
    "/images/localhost/pair:1/history",
    "/images/json",
    "/networks/net",
    "/volumes/vol",
    "/info",
    "/version",
    "/system/df",
];

#[test]
fn each_version_has_the_fields_that_docker_gives_it() {
    let (ours, peer) = (Network::new(), Network::new());
    let pair = Pair::start_in(&ours, &peer);
    let execs = pair.both().map(|mut api| furnish(&mut api));
    let mut findings = Findings::default();
    for version in SHARED {
        for path in PATHS {
            let [ours, peer] =
                [(pair.ours.api(), &execs[0]), (pair.peer.api(), &execs[1])].map(|(api, exec)| {
                    let mut api = api.with_prefix(&format!("/v{version}"));
                    fields(&api.get(&path.replace("EXEC", exec)).ok().json())
                });
            findings
                .check(move || assert_same(&format!("fields {path} of {version}"), &ours, &peer));
        }
    }
    findings.none();
}

/// A container on a network with a volume, and an exec of it, whose id is the answer.
fn furnish(api: &mut Client) -> String {
    api.post("/volumes/create", &json!({ "Name": "vol" })).ok();
    let ipam = json!({ "Config": [{ "Subnet": "10.88.0.0/24", "Gateway": "10.88.0.1" }] });
    api.post("/networks/create", &json!({ "Name": "net", "IPAM": ipam }))
        .ok();
    let body = json!({
        "Image": "localhost/pair:1", "Cmd": ["sleep", "1000"],
        "HostConfig": { "NetworkMode": "net", "Binds": ["vol:/v"] },
        "NetworkingConfig": { "EndpointsConfig": { "net": { "Aliases": ["al"] } } },
    });
    api.post("/containers/create?name=box", &body).ok();
    api.post("/containers/box/start", &Value::Null).ok();
    let exec = api
        .post("/containers/box/exec", &json!({ "Cmd": ["true"] }))
        .ok()
        .json();
    exec["Id"].as_str().expect("an exec has an id").to_owned()
}

/// The names of a document's fields, without the ids among them.
fn fields(document: &Value) -> Facts {
    let there = |key: String| {
        let steps = key.split('/').map(|step| {
            let is_id = step.len() == 64 && step.chars().all(|c| c.is_ascii_hexdigit());
            if is_id { "ID" } else { step }
        });
        (steps.collect::<Vec<_>>().join("/"), "there".to_owned())
    };
    facts(document).into_keys().map(there).collect()
}

/// One engine without a peer, since none speaks these versions.
fn alone() -> (Agent, String) {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let id = agent.start_container(&image, &["sleep", "1000"]);
    (agent, id)
}

#[test]
fn from_1_52_on_old_fields_are_gone() {
    let (agent, id) = alone();
    let get = |version: u16, path: &str| {
        let mut api = agent.api().with_prefix(&format!("/v1.{version}"));
        api.get(path).ok().json()
    };
    let inspect = format!("/containers/{id}/json");
    let has = |document: &Value, path: &str| document.pointer(path).is_some();
    for (version, expected) in [(51, true), (52, false)] {
        let found = get(version, &inspect);
        for old in ["IPAddress", "Gateway", "MacAddress", "Bridge", "EndpointID"] {
            assert_eq!(
                has(&found, &format!("/NetworkSettings/{old}")),
                expected,
                "{old} in 1.{version}"
            );
        }
        assert_eq!(has(&found, "/Config/OnBuild"), expected);
        assert_eq!(
            has(&get(version, "/info"), "/KernelMemoryTCP"),
            expected && has(&get(45, "/info"), "/KernelMemoryTCP")
        );
        assert_eq!(
            has(&get(version, "/containers/json"), "/0/Health"),
            !expected
        );
    }
    assert_eq!(get(53, "/containers/json")[0]["Health"]["Status"], "none");
    agent.assert_nothing_left();
}

#[test]
fn from_1_52_on_the_engine_adds_up_what_the_disk_holds() {
    let (agent, _id) = alone();
    let get = |version: u16, query: &str| {
        let mut api = agent.api().with_prefix(&format!("/v1.{version}"));
        api.get(&format!("/system/df{query}")).ok().json()
    };
    let old = get(51, "");
    assert!(old["LayersSize"].is_u64() && old["ImageUsage"].is_null());
    let both = get(52, "");
    assert_eq!(both["Images"], old["Images"]);
    let new = get(53, "");
    assert!(new["Images"].is_null() && new["LayersSize"].is_null());
    assert_eq!(new["ImageUsage"]["TotalSize"], old["LayersSize"]);
    assert_eq!(new["ImageUsage"]["ActiveCount"], 1);
    assert_eq!(new["ContainerUsage"]["TotalCount"], 1);
    assert_eq!(new["ImageUsage"]["Items"], Value::Null);
    let verbose = get(53, "?verbose=1&type=image");
    assert_eq!(
        verbose["ImageUsage"]["Items"].as_array().map(Vec::len),
        Some(1)
    );
    assert!(verbose["ContainerUsage"].is_null(), "it was not asked for");
    agent.assert_nothing_left();
}

#[test]
fn a_version_that_is_not_spoken_is_refused_with_docker_s_words() {
    let agent = Agent::start();
    let refusal = |version: &str| agent.api().get(&format!("/v{version}/info")).failed(400);
    assert_eq!(
        refusal("1.99"),
        "client version 1.99 is too new. Maximum supported API version is 1.53"
    );
    let old = refusal("1.23");
    assert!(
        old.starts_with("client version 1.23 is too old. Minimum supported API version is 1.24"),
        "{old}"
    );
    for spoken in 24..=53 {
        let told = agent.api().get(&format!("/v1.{spoken}/version")).ok();
        assert_eq!(told.header("api-version"), Some("1.53"));
    }
}
