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

fn cases() -> Vec<(&'static str, Value)> {
    let probe = |more: Value, host: Value| {
        let mut body = json!({ "Cmd": ["/probe"], "HostConfig": { "NetworkMode": "none" } });
        merge(&mut body, &more);
        merge(&mut body["HostConfig"], &host);
        body
    };
    let none = || json!({});
    vec![
        (
            "default",
            probe(json!({ "Cmd": ["/probe", "calls"] }), none()),
        ),
        (
            "privileged",
            probe(
                json!({ "Cmd": ["/probe", "calls"] }),
                json!({ "Privileged": true }),
            ),
        ),
        (
            "unconfined",
            probe(none(), json!({ "SecurityOpt": ["seccomp=unconfined"] })),
        ),
        ("user", probe(json!({ "User": "sailor:crew" }), none())),
        (
            "user number",
            probe(
                json!({ "User": "4711:4712" }),
                json!({ "GroupAdd": ["daemon", "99"] }),
            ),
        ),
        ("terminal", probe(json!({ "Tty": true }), none())),
        (
            "all capabilities",
            probe(
                json!({ "Cmd": ["/probe", "calls"] }),
                json!({ "CapAdd": ["ALL"] }),
            ),
        ),
        (
            "some capabilities",
            probe(
                json!({ "Cmd": ["/probe", "calls"], "User": "sailor" }),
                json!({ "CapAdd": ["SYS_ADMIN", "CAP_NET_ADMIN"], "CapDrop": ["CHOWN", "mknod"] }),
            ),
        ),
        (
            "no capabilities",
            probe(
                none(),
                json!({ "CapDrop": ["all"], "SecurityOpt": ["no-new-privileges"] }),
            ),
        ),
        (
            "read-only",
            probe(
                none(),
                json!({ "ReadonlyRootfs": true, "Tmpfs": { "/run": "", "/cache": "size=1m,mode=0700,exec" } }),
            ),
        ),
        ("init", probe(none(), json!({ "Init": true }))),
        (
            "hosts",
            probe(
                json!({ "Hostname": "boat", "Domainname": "sea" }),
                json!({ "ExtraHosts": ["harbour:10.0.0.1"], "Dns": ["10.1.1.1"], "DnsSearch": ["sea"], "DnsOptions": ["ndots:2"] }),
            ),
        ),
        (
            "host namespaces",
            probe(
                none(),
                json!({ "NetworkMode": "host", "PidMode": "host", "IpcMode": "host", "UTSMode": "host" }),
            ),
        ),
        (
            "limits",
            probe(
                none(),
                json!({ "ShmSize": 1 << 20, "Ulimits": [{ "Name": "nofile", "Soft": 100, "Hard": 200 }], "Sysctls": { "net.ipv4.ip_forward": "0" }, "OomScoreAdj": 500, "CpusetCpus": "0" }),
            ),
        ),
        (
            "device",
            probe(
                none(),
                json!({ "Devices": [{ "PathOnHost": "/dev/fuse", "PathInContainer": "/dev/tool", "CgroupPermissions": "rw" }] }),
            ),
        ),
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
