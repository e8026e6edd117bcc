//! The inside of containers: mounts, devices, capabilities, limits, what is writable, what each system call answers.

use serde_json::{Value, json};

use crate::difference::{Facts, assert_same};
use crate::pair::Pair;

#[test]
fn a_container_finds_inside_what_docker_gives_it() {
    let pair = Pair::start();
    let mut failures = Vec::new();
    for (scope, body) in cases() {
        let outputs = pair.output(&body);
        let [ours, peer] = outputs.map(|output| facts(&output));
        assert!(
            peer.len() > 200,
            "{scope}: the probe said too little beside Docker: {peer:?}"
        );
        let compared =
            std::panic::catch_unwind(|| assert_same(&format!("inside {scope}"), &ours, &peer));
        if let Err(words) = compared {
            failures.push(words.downcast_ref::<String>().cloned().unwrap_or_default());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What is asked of a container of `/probe` and of its host, by name; `calls` has it try every system call as well.
fn cases() -> Vec<(&'static str, Value)> {
    let mut cases = who_it_is();
    cases.extend(what_it_gets());
    cases
}

fn probe(mut more: Value, host: Value) -> Value {
    let command: &[&str] = if more["calls"].take() == true {
        &["/probe", "calls"]
    } else {
        &["/probe"]
    };
    let mut body = json!({ "Cmd": command, "HostConfig": { "NetworkMode": "none" } });
    more.as_object_mut().expect("a document").remove("calls");
    merge(&mut body, &more);
    merge(&mut body["HostConfig"], &host);
    body
}

/// Users, capabilities, filters.
fn who_it_is() -> Vec<(&'static str, Value)> {
    let (none, calls) = (|| json!({}), || json!({ "calls": true }));
    let sailor = json!({ "calls": true, "User": "sailor" });
    let unconfined = json!({ "SecurityOpt": ["seccomp=unconfined"] });
    let some = json!({ "CapAdd": ["SYS_ADMIN", "CAP_NET_ADMIN"], "CapDrop": ["CHOWN", "mknod"] });
    let nothing = json!({ "CapDrop": ["all"], "SecurityOpt": ["no-new-privileges"] });
    let groups = json!({ "GroupAdd": ["daemon", "99"] });
    vec![
        ("default", probe(calls(), none())),
        ("privileged", probe(calls(), json!({ "Privileged": true }))),
        ("unconfined", probe(none(), unconfined)),
        ("user", probe(json!({ "User": "sailor:crew" }), none())),
        ("user number", probe(json!({ "User": "4711:4712" }), groups)),
        ("terminal", probe(json!({ "Tty": true }), none())),
        (
            "all capabilities",
            probe(calls(), json!({ "CapAdd": ["ALL"] })),
        ),
        ("some capabilities", probe(sailor, some)),
        ("no capabilities", probe(none(), nothing)),
    ]
}

/// Mounts, names, namespaces, limits, devices.
fn what_it_gets() -> Vec<(&'static str, Value)> {
    let none = || json!({});
    let read_only = json!({
        "ReadonlyRootfs": true, "Tmpfs": { "/run": "", "/cache": "size=1m,mode=0700,exec" },
    });
    let names = json!({
        "ExtraHosts": ["harbour:10.0.0.1"], "Dns": ["10.1.1.1"], "DnsSearch": ["sea"],
        "DnsOptions": ["ndots:2"],
    });
    let of_host = json!({
        "NetworkMode": "host", "PidMode": "host", "IpcMode": "host", "UTSMode": "host",
    });
    let limits = json!({
        "ShmSize": 1 << 20, "Ulimits": [{ "Name": "nofile", "Soft": 100, "Hard": 200 }],
        "Sysctls": { "net.ipv4.ip_forward": "0" }, "OomScoreAdj": 500, "CpusetCpus": "0",
    });
    let device = json!({
        "Devices": [{ "PathOnHost": "/dev/fuse", "PathInContainer": "/dev/tool", "CgroupPermissions": "rw" }],
    });
    let boat = json!({ "Hostname": "boat", "Domainname": "sea" });
    vec![
        ("read-only", probe(none(), read_only)),
        ("init", probe(none(), json!({ "Init": true }))),
        ("hosts", probe(boat, names)),
        ("host namespaces", probe(none(), of_host)),
        ("limits", probe(none(), limits)),
        ("device", probe(none(), device)),
        (
            "unmasked",
            probe(none(), json!({ "MaskedPaths": [], "ReadonlyPaths": [] })),
        ),
    ]
}

fn merge(into: &mut Value, from: &Value) {
    for (key, value) in from.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}

/// `section key: value` lines; a key that comes again is numbered.
fn facts(output: &str) -> Facts {
    let mut facts = Facts::new();
    for line in output.lines() {
        let line = line.trim_end();
        let (key, value) = line
            .split_once(": ")
            .or_else(|| line.split_once(":\t"))
            .unwrap_or_else(|| (line.trim_end_matches(':'), ""));
        let mut unique = key.to_owned();
        for number in 2.. {
            if !facts.contains_key(&unique) {
                break;
            }
            unique = format!("{key} ({number})");
        }
        facts.insert(unique, neutral(value));
    }
    facts
}

/// Without the folders that each engine keeps its own files in.
fn neutral(value: &str) -> String {
    let mut words: Vec<String> = value.split(' ').map(str::to_owned).collect();
    for word in &mut words {
        if word.contains("upperdir=") {
            let kept = word
                .split(',')
                .filter(|option| !option.contains("dir=") && !option.contains("dir+="));
            *word = kept.collect::<Vec<_>>().join(",");
        }
        if word.starts_with('/') && (word.contains("/containers/ID/") || word.contains("/volumes/"))
        {
            *word = format!("…/{}", word.rsplit('/').next().unwrap_or_default());
        }
    }
    words.join(" ").trim_end().to_owned()
}
