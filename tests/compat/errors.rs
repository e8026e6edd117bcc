//! Bad requests: the same status and the same words as Docker's.

use serde_json::{Value, json};

use crate::difference::{Facts, assert_same};
use crate::pair::Pair;

struct Request {
    method: &'static str,
    path: &'static str,
    body: &'static str,
}

const fn ask(method: &'static str, path: &'static str, body: &'static str) -> Request {
    Request { method, path, body }
}

/// Requests to engines that hold a running container `up`, one that has ended `down`, and an image.
const REQUESTS: &[Request] = &[
    ask("GET", "/containers/nobody/json", ""),
    ask("POST", "/containers/nobody/start", ""),
    ask("POST", "/containers/up/start", ""),
    ask("POST", "/containers/down/stop", ""),
    ask("POST", "/containers/down/kill", ""),
    ask("POST", "/containers/up/kill?signal=NOSUCH", ""),
    ask("POST", "/containers/down/pause", ""),
    ask("POST", "/containers/up/unpause", ""),
    ask("DELETE", "/containers/up", ""),
    ask("DELETE", "/containers/nobody", ""),
    ask("POST", "/containers/up/rename?name=down", ""),
    ask("POST", "/containers/up/rename", ""),
    ask("POST", "/containers/up/rename?name=%2F%2Fbad", ""),
    ask("POST", "/containers/down/exec", r#"{"Cmd":["true"]}"#),
    ask("POST", "/containers/up/exec", r#"{"Cmd":[]}"#),
    ask("POST", "/containers/nobody/exec", r#"{"Cmd":["true"]}"#),
    ask("POST", "/exec/nobody/start", "{}"),
    ask("GET", "/exec/nobody/json", ""),
    ask("GET", "/containers/up/logs", ""),
    ask("GET", "/containers/nobody/logs?stdout=1", ""),
    ask("GET", "/containers/up/logs?stdout=1&tail=x", ""),
    ask("GET", "/containers/up/logs?stdout=1&since=x", ""),
    ask("POST", "/containers/up/wait?condition=never", ""),
    ask("GET", "/containers/down/top", ""),
    ask("GET", "/containers/up/top?ps_args=-o%20nothing", ""),
    ask("GET", "/containers/json?filters=rubbish", ""),
    ask(
        "GET",
        "/containers/json?filters=%7B%22no%22%3A%5B%22x%22%5D%7D",
        "",
    ),
    ask(
        "GET",
        "/containers/json?filters=%7B%22status%22%3A%5B%22odd%22%5D%7D",
        "",
    ),
    ask("GET", "/containers/json?limit=x", ""),
    ask("GET", "/containers/nobody/stats?stream=0", ""),
    ask("GET", "/containers/nobody/changes", ""),
    ask("GET", "/containers/nobody/export", ""),
    ask("GET", "/containers/up/archive?path=/none", ""),
    ask("GET", "/containers/up/archive", ""),
    ask("PUT", "/containers/up/archive?path=/none", ""),
    ask("POST", "/containers/up/resize?h=x&w=1", ""),
    ask("POST", "/containers/up/resize", ""),
    ask("POST", "/containers/up/update", "{\"Memory\":1}"),
    ask("POST", "/containers/up/update", "rubbish"),
    ask("POST", "/containers/create", ""),
    ask("POST", "/containers/create", "rubbish"),
    ask("POST", "/containers/create", "{\"Image\":7}"),
    ask("POST", "/containers/create", "{}"),
    ask("POST", "/containers/create", "null"),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/nothing:1"}"#,
    ),
    ask("POST", "/containers/create", r#"{"Image":"BAD IMAGE"}"#),
    ask(
        "POST",
        "/containers/create?name=up",
        r#"{"Image":"localhost/pair:1"}"#,
    ),
    ask(
        "POST",
        "/containers/create?name=%20bad",
        r#"{"Image":"localhost/pair:1"}"#,
    ),
    ask(
        "POST",
        "/containers/create?name=a",
        r#"{"Image":"localhost/pair:1"}"#,
    ),
    ask(
        "POST",
        "/containers/create?platform=linux/sparc",
        r#"{"Image":"localhost/pair:1"}"#,
    ),
    ask(
        "POST",
        "/containers/create?platform=x/y/z/w",
        r#"{"Image":"localhost/pair:1"}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","WorkingDir":"relative"}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","StopSignal":"ODD"}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","Env":["=x"]}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","Healthcheck":{"Interval":5}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Memory":1}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Memory":10000000,"MemorySwap":5000000}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"MemorySwap":5000000}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Memory":10000000,"MemoryReservation":20000000}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"NanoCpus":99000000000}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"NanoCpus":1000000,"CpuQuota":5000}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"CpuQuota":5}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"CpuPeriod":5}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"CpusetCpus":"99"}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"CpusetCpus":"x"}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"BlkioWeight":5}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"MemorySwappiness":101}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"OomScoreAdj":5000}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"ShmSize":-1}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Binds":["a:b"]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Binds":["/a:/b:odd"]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Binds":["/a:/"]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Binds":["/a:/b","/c:/b"]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Binds":["../x:/b"]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Binds":["bad name:/b"]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Mounts":[{"Type":"bind","Source":"/no/such","Target":"/b"}]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Mounts":[{"Type":"odd","Target":"/b"}]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Mounts":[{"Type":"bind","Target":"/b"}]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"CapAdd":["ODD"]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"SecurityOpt":["odd"]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"SecurityOpt":["seccomp=rubbish"]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"RestartPolicy":{"Name":"odd"}}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"RestartPolicy":{"Name":"always","MaximumRetryCount":3}}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"LogConfig":{"Type":"odd"}}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"LogConfig":{"Type":"json-file","Config":{"odd":"1"}}}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"NetworkMode":"container:nobody"}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"PidMode":"odd"}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"IpcMode":"odd"}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"UTSMode":"odd"}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"UsernsMode":"odd"}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"ExtraHosts":["odd"]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Sysctls":{"kernel.odd":"1"}}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"Runtime":"odd"}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","HostConfig":{"VolumesFrom":["nobody"]}}"#,
    ),
    ask(
        "POST",
        "/containers/create",
        r#"{"Image":"localhost/pair:1","ExposedPorts":{"x/tcp":{}}}"#,
    ),
    ask("GET", "/images/nothing/json", ""),
    ask("GET", "/images/BAD%20NAME/json", ""),
    ask("GET", "/images/nothing/history", ""),
    ask("DELETE", "/images/nothing", ""),
    ask("DELETE", "/images/localhost/pair:1", ""),
    ask("POST", "/images/nothing/tag?repo=x", ""),
    ask("POST", "/images/localhost/pair:1/tag?repo=BAD", ""),
    ask("POST", "/images/localhost/pair:1/tag", ""),
    ask("POST", "/images/create", ""),
    ask("POST", "/images/create?fromImage=BAD", ""),
    ask(
        "POST",
        "/images/create?fromImage=127.0.0.1:1/nothing&tag=1",
        "",
    ),
    ask("POST", "/images/load", "rubbish"),
    ask("POST", "/images/localhost/nothing/push?tag=1", ""),
    ask("GET", "/images/get?names=nothing", ""),
    ask(
        "GET",
        "/images/json?filters=%7B%22no%22%3A%5B%22x%22%5D%7D",
        "",
    ),
    ask("GET", "/volumes/nothing", ""),
    ask("DELETE", "/volumes/nothing", ""),
    ask("DELETE", "/volumes/held", ""),
    ask("POST", "/volumes/create", r#"{"Name":"bad name"}"#),
    ask("POST", "/volumes/create", r#"{"Driver":"odd"}"#),
    ask("POST", "/volumes/create", "rubbish"),
    ask(
        "POST",
        "/volumes/create",
        r#"{"Name":"x","DriverOpts":{"odd":"1"}}"#,
    ),
    ask("GET", "/networks/nothing", ""),
    ask("POST", "/auth", "rubbish"),
    ask("GET", "/events?since=x", ""),
    ask("GET", "/nothing", ""),
    ask("GET", "/containers", ""),
    ask("PATCH", "/containers/up/json", ""),
    ask("POST", "/containers/up/attach/ws", ""),
];

#[test]
fn bad_requests_are_answered_with_docker_s_status_and_words() {
    let pair = Pair::start();
    let up = pair.create("up", &json!({ "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": "none", "Binds": ["held:/h"] } }));
    let down = pair.create(
        "down",
        &json!({ "Cmd": ["true"], "HostConfig": { "NetworkMode": "none" } }),
    );
    let [ours, peer] = [0, 1].map(|which| {
        let [first, second] = pair.both();
        let mut api = if which == 0 { first } else { second };
        for id in [&up[which], &down[which]] {
            api.post(&format!("/containers/{id}/start"), &Value::Null)
                .ok();
        }
        api.post(&format!("/containers/{}/wait", down[which]), &Value::Null)
            .ok();
        let mut facts = Facts::new();
        for Request { method, path, body } in REQUESTS {
            let answer = api.send(
                method,
                path,
                &[("Content-Type", "application/json")],
                body.as_bytes(),
            );
            let created = answer.try_json()["Id"]
                .as_str()
                .unwrap_or("no id")
                .to_owned();
            let mut words = answer
                .json_or_text()
                .trim_end()
                .replace(&created, "NEW")
                .replace(&up[which], "UP")
                .replace(&down[which], "DOWN");
            words = words
                .replace(&up[which][..12], "UP")
                .replace(&down[which][..12], "DOWN");
            facts.insert(
                format!("{method} {path} {body}"),
                format!("{} {words}", answer.status),
            );
            forget(&mut api, &answer.try_json());
        }
        facts
    });
    assert_same("error", &ours, &peer);
}

/// Removes what a request made that was no error after all.
fn forget(api: &mut crate::support::Client, answer: &Value) {
    if let Some(id) = answer["Id"].as_str() {
        api.delete(&format!("/containers/{id}?force=1&v=1"));
    }
}
