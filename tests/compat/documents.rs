//! The documents of the API, field by field: containers in each state, images, volumes, the engine itself, events.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::difference::{Facts, assert_same, facts, shapes};
use crate::pair::Pair;
use crate::support::{Client, poll};

/// Values that are never the same twice, wherever they stand.
pub const NEVER_THE_SAME: &[&str] = &[
    "*/Id",
    "*/ID",
    "*/ContainerID",
    "*/Created",
    "*/CreatedAt",
    "*/StartedAt",
    "*/FinishedAt",
    "*/SystemTime",
    "*/Pid",
    "*/time",
    "*/timeNano",
    "*/Hostname",
    "*/read",
    "*/preread",
    "*/LastTagTime",
    "*/Image",
    "*/ImageID",
    "*/Config/Image",
    "*/SandboxID",
    "/Processes/*/1",
    "/Processes/*/2",
    "/Processes/*/3",
];

/// Compares one document of each engine, ids and times by their shape.
#[track_caller]
pub fn compare(scope: &str, documents: [Value; 2]) {
    let [ours, peer] = documents.map(|document| shapes(facts(&neutral(document)), NEVER_THE_SAME));
    assert_same(scope, &ours, &peer);
}

/// Without what each engine decides for itself: the order of lists of things that have names, and its own folders.
fn neutral(document: Value) -> Value {
    match document {
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(neutral).collect();
            let name = |item: &Value| {
                ["Destination", "Name", "Path"]
                    .iter()
                    .find_map(|key| item[*key].as_str().map(str::to_owned))
            };
            if items
                .iter()
                .all(|item| item.is_object() && name(item).is_some())
            {
                items.sort_by_key(name);
            }
            Value::Array(items)
        }
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, neutral(value)))
            .collect(),
        Value::String(text) => Value::String(without_folders(&text)),
        other => other,
    }
}

fn without_folders(text: &str) -> String {
    let owned = ["/proa-test-", "/proa-peer-", "/run/pt-", "/run/pp-"];
    if !owned.iter().any(|folder| text.contains(folder)) {
        return text.to_owned();
    }
    let last = text
        .rsplit('/')
        .find(|part| !part.chars().all(|c| c.is_ascii_hexdigit()));
    format!("…/{}", last.unwrap_or_default())
}

/// Collects the failures of several comparisons, so that one run tells them all.
#[derive(Default)]
pub struct Findings(Vec<String>);

impl Findings {
    pub fn check(&mut self, compare: impl FnOnce() + std::panic::UnwindSafe) {
        if let Err(words) = std::panic::catch_unwind(compare) {
            let text = words.downcast_ref::<String>().cloned();
            self.0.push(
                text.or_else(|| words.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default(),
            );
        }
    }

    #[track_caller]
    pub fn none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n\n"));
    }
}

/// Each request of a pair of lists, one engine's after the other's.
fn on_both(pair: &Pair, ids: &[String; 2], mut ask: impl FnMut(&mut Client, &str)) {
    for (mut api, id) in pair.both().into_iter().zip(ids) {
        ask(&mut api, id);
    }
}

fn post(pair: &Pair, ids: &[String; 2], verb: &str) {
    on_both(pair, ids, |api, id| {
        drop(
            api.post(&format!("/containers/{id}/{verb}"), &Value::Null)
                .ok(),
        );
    });
}

/// The documents about one container: inspect and its row in the list.
fn about(pair: &Pair, name: &str) -> [(Value, Value); 2] {
    pair.both().map(|mut api| {
        let inspected = api
            .get(&format!("/containers/{name}/json?size=1"))
            .ok()
            .json();
        let filter = format!("{{%22name%22:[%22^/{name}$%22]}}");
        let listed = api
            .get(&format!("/containers/json?all=1&size=1&filters={filter}"))
            .ok()
            .json();
        (inspected, listed)
    })
}

fn check_container(findings: &mut Findings, pair: &Pair, scope: &str, name: &str) {
    let [ours, peer] = about(pair, name);
    findings.check(move || compare(&format!("inspect {scope}"), [ours.0, peer.0]));
    findings.check(move || compare(&format!("list {scope}"), [ours.1, peer.1]));
}

#[test]
fn a_container_s_documents_are_docker_s_in_each_of_its_states() {
    let pair = Pair::start();
    let mut findings = Findings::default();
    let ids = pair.create(
        "plain",
        &json!({ "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": "none" } }),
    );
    check_container(&mut findings, &pair, "created", "plain");
    post(&pair, &ids, "start");
    check_container(&mut findings, &pair, "running", "plain");
    post(&pair, &ids, "pause");
    check_container(&mut findings, &pair, "paused", "plain");
    post(&pair, &ids, "unpause");
    post(&pair, &ids, "kill");
    post(&pair, &ids, "wait");
    check_container(&mut findings, &pair, "exited", "plain");
    findings.none();
}

#[test]
fn a_container_s_documents_repeat_what_was_asked() {
    let pair = Pair::start();
    let mut findings = Findings::default();
    for (scope, body) in asked() {
        let name = scope.replace(' ', "-");
        pair.create(&name, &body);
        let [ours, peer] = about(&pair, &name);
        findings.check(move || compare(&format!("inspect {scope}"), [ours.0, peer.0]));
    }
    findings.none();
}

fn asked() -> Vec<(&'static str, Value)> {
    vec![
        ("nothing", json!({})),
        (
            "resources",
            json!({ "HostConfig": { "Memory": 64 << 20, "MemoryReservation": 32 << 20, "NanoCpus": 500_000_000, "PidsLimit": 99, "CpuShares": 512, "CpusetCpus": "0-1", "BlkioWeight": 300, "OomKillDisable": false, "MemorySwappiness": 10 } }),
        ),
        (
            "memory alone",
            json!({ "HostConfig": { "Memory": 64 << 20 } }),
        ),
        (
            "quota",
            json!({ "HostConfig": { "CpuPeriod": 100_000, "CpuQuota": 25_000, "KernelMemory": 0 } }),
        ),
        (
            "mounts",
            json!({ "Volumes": { "/anonymous": {} }, "HostConfig": { "Binds": ["/tmp:/b:ro", "named:/n"], "Mounts": [{ "Type": "tmpfs", "Target": "/t", "TmpfsOptions": { "SizeBytes": 1024 } }, { "Type": "volume", "Source": "other", "Target": "/o", "ReadOnly": true }], "Tmpfs": { "/tt": "size=1m" } } }),
        ),
        (
            "security",
            json!({ "HostConfig": { "Privileged": true, "CapAdd": ["net_admin"], "CapDrop": ["CAP_CHOWN"], "SecurityOpt": ["no-new-privileges", "label=disable"], "GroupAdd": ["99"], "ReadonlyRootfs": true } }),
        ),
        (
            "namespaces",
            json!({ "HostConfig": { "NetworkMode": "host", "PidMode": "host", "IpcMode": "shareable", "UTSMode": "host", "CgroupnsMode": "host" } }),
        ),
        (
            "process",
            json!({ "Cmd": ["a", "b"], "Entrypoint": ["/bin/echo"], "Env": ["A=1", "B"], "User": "1:2", "WorkingDir": "/x/../y", "Tty": true, "OpenStdin": true, "StdinOnce": true, "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "StopSignal": "SIGINT", "StopTimeout": 3, "Labels": { "x": "y" }, "Hostname": "h", "Domainname": "d" }),
        ),
        (
            "health",
            json!({ "Healthcheck": { "Test": ["CMD", "true"], "Interval": 1_000_000_000, "Retries": 2 } }),
        ),
        (
            "restart",
            json!({ "HostConfig": { "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 }, "AutoRemove": false, "LogConfig": { "Type": "json-file", "Config": { "max-size": "1m", "max-file": "2" } } } }),
        ),
        (
            "logging",
            json!({ "HostConfig": { "LogConfig": { "Type": "none", "Config": {} }, "AutoRemove": true } }),
        ),
        (
            "devices",
            json!({ "HostConfig": { "Devices": [{ "PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm" }], "DeviceCgroupRules": ["c 10:200 rwm"], "Ulimits": [{ "Name": "nofile", "Soft": 1, "Hard": 2 }], "Sysctls": { "net.core.somaxconn": "99" }, "ShmSize": 1_048_576, "Init": true, "Dns": ["1.1.1.1"], "ExtraHosts": ["a:1.2.3.4"], "OomScoreAdj": 7 } }),
        ),
        (
            "ports",
            json!({ "ExposedPorts": { "81/tcp": {}, "53/udp": {} }, "HostConfig": { "NetworkMode": "none", "PublishAllPorts": true } }),
        ),
    ]
}

#[test]
fn an_image_s_documents_are_docker_s() {
    let pair = Pair::start();
    let mut findings = Findings::default();
    let [ours, peer] = pair.get("/images/localhost/pair:1/json");
    findings.check(move || compare("image inspect", [ours, peer]));
    let [ours, peer] = pair.get("/images/json?shared-size=1");
    findings.check(move || compare("image list", [ours, peer]));
    let [ours, peer] = pair.get("/images/localhost/pair:1/history");
    findings.check(move || compare("image history", [ours, peer]));
    let answers = pair.both().map(|mut api| {
        api.post(
            "/images/localhost/pair:1/tag?repo=localhost/second&tag=2",
            &Value::Null,
        )
        .status
    });
    assert_eq!(answers[0], answers[1]);
    let [ours, peer] = pair
        .both()
        .map(|mut api| api.delete("/images/localhost/second:2").ok().json());
    findings.check(move || compare("image untag", [ours, peer]));
    let [ours, peer] = pair
        .both()
        .map(|mut api| api.delete("/images/localhost/pair:1").ok().json());
    findings.check(move || compare("image delete", [ours, peer]));
    findings.none();
}

#[test]
fn the_engine_tells_about_itself_as_docker_does() {
    let pair = Pair::start();
    let mut findings = Findings::default();
    for (scope, path) in [
        ("info", "/info"),
        ("version", "/version"),
        ("df", "/system/df"),
        ("volumes", "/volumes"),
        ("networks", "/networks"),
    ] {
        let [ours, peer] = pair.get(path);
        findings.check(move || compare(scope, [ours, peer]));
    }
    let [ours, peer] = pair.both().map(|mut api| headers(&api.get("/_ping").ok()));
    findings.check(move || assert_same("ping headers", &ours, &peer));
    let [ours, peer] = pair.both().map(|mut api| headers(&api.head("/_ping").ok()));
    findings.check(move || assert_same("ping headers", &ours, &peer));
    findings.none();
}

fn headers(answer: &crate::support::Response) -> Facts {
    let named = answer
        .headers
        .iter()
        .map(|(key, value)| (key.to_ascii_lowercase(), value.clone()));
    named.filter(|(key, _)| key != "date").collect()
}

#[test]
fn volumes_execs_processes_and_changes_are_docker_s() {
    let pair = Pair::start();
    let mut findings = Findings::default();
    let volume = json!({ "Name": "v1", "Labels": { "a": "b" } });
    let [ours, peer] = pair
        .both()
        .map(|mut api| api.post("/volumes/create", &volume).ok().json());
    findings.check(move || compare("volume create", [ours, peer]));
    let [ours, peer] = pair.get("/volumes/v1");
    findings.check(move || compare("volume inspect", [ours, peer]));
    let ids = pair.create("busy", &json!({ "Cmd": ["sh", "-c", "echo x > /new; rm /etc/group; exec sleep 1000"], "HostConfig": { "NetworkMode": "none", "Binds": ["v1:/v"] } }));
    post(&pair, &ids, "start");
    sleep(Duration::from_millis(500));
    for (scope, path) in [
        ("top", "/containers/busy/top"),
        ("top options", "/containers/busy/top?ps_args=aux"),
        ("changes", "/containers/busy/changes"),
    ] {
        let [ours, peer] = pair.get(path);
        findings.check(move || compare(scope, [ours, peer]));
    }
    let [ours, peer] = pair
        .get("/containers/busy/stats?stream=false&one-shot=true")
        .map(|document| kinds(&document));
    findings.check(move || assert_same("stats", &ours, &peer));
    let execs = pair.both().map(|mut api| {
        let body = json!({ "Cmd": ["sh", "-c", "exit 3"], "AttachStdout": true, "Env": ["E=1"], "User": "daemon", "WorkingDir": "/tmp" });
        let id = api.post("/containers/busy/exec", &body).ok().json()["Id"].as_str().unwrap().to_owned();
        let before = api.get(&format!("/exec/{id}/json")).ok().json();
        api.post(&format!("/exec/{id}/start"), &json!({ "Detach": true })).ok();
        poll(Duration::from_secs(10), "the exec ends", || api.get(&format!("/exec/{id}/json")).json()["Running"] == false);
        (before, api.get(&format!("/exec/{id}/json")).ok().json())
    });
    let [ours, peer] = execs;
    findings.check(move || compare("exec created", [ours.0, peer.0]));
    findings.check(move || compare("exec ended", [ours.1, peer.1]));
    let [ours, peer] = pair.get("/system/df");
    findings.check(move || compare("df in use", [ours, peer]));
    findings.none();
}

/// Each leaf's type in place of its value: for counters.
fn kinds(document: &Value) -> Facts {
    let mut kinds = facts(document);
    for value in kinds.values_mut() {
        if value.parse::<f64>().is_ok() {
            "number".clone_into(value);
        }
    }
    shapes(kinds, &["*"])
}

#[test]
fn a_life_tells_the_events_that_docker_tells() {
    let pair = Pair::start();
    // Events are asked for by the second: the image's loading is to lie in another one.
    sleep(Duration::from_secs(2));
    let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let ids = pair.create("lively", &json!({ "Cmd": ["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done"], "Labels": { "l": "1" }, "HostConfig": { "NetworkMode": "none", "Binds": ["ev:/v"] } }));
    for verb in [
        "start",
        "pause",
        "unpause",
        "rename?name=livelier",
        "restart?t=3",
        "kill?signal=USR2",
        "start",
        "stop?t=3",
    ] {
        on_both(&pair, &ids, |api, id| {
            drop(api.post(&format!("/containers/{id}/{verb}"), &Value::Null));
        });
    }
    on_both(&pair, &ids, |api, id| {
        api.delete(&format!("/containers/{id}")).ok();
        api.delete("/volumes/ev").ok();
        api.post(
            "/images/localhost/pair:1/tag?repo=localhost/ev&tag=2",
            &Value::Null,
        )
        .ok();
        api.delete("/images/localhost/ev:2").ok();
    });
    sleep(Duration::from_secs(1));
    let until = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 1;
    let told = pair.both().map(|mut api| {
        let lines = api
            .get(&format!("/events?since={since}&until={until}"))
            .ok()
            .lines();
        let lines: Vec<_> = lines.into_iter().filter(is_compared).collect();
        let order: Vec<_> = lines
            .iter()
            .map(|line| format!("{} {}", line["Type"], line["Action"]))
            .collect();
        (order.join("\n"), Value::Array(lines))
    });
    assert_eq!(
        told[0].0, told[1].0,
        "the order of events: ours, then Docker's"
    );
    let never = [NEVER_THE_SAME, &["*/id", "*/container", "*/execDuration"]].concat();
    let [ours, peer] = told.map(|(_, lines)| shapes(facts(&lines), &never));
    assert_same("events", &ours, &peer);
}

/// Where `stop` stands among the others differs between versions of Docker itself.
fn is_compared(event: &Value) -> bool {
    let action = event["Action"].as_str().unwrap_or_default();
    match event["Type"].as_str() {
        Some("volume") => !matches!(action, "mount" | "unmount"),
        _ => action != "stop",
    }
}
