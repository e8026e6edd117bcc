//! User namespaces: root inside is nobody in particular outside, and files belong to whom they should.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde_json::{Value, json};

use crate::kit::Engine;

/// The host's ids that a container has: the first, how many.
fn ids(inspect: &Value) -> (u32, u32) {
    let map = inspect["IDMappings"]["UidMap"][0].as_str().unwrap();
    let numbers: Vec<u32> = map
        .split(':')
        .map(|number| number.parse().unwrap())
        .collect();
    assert_eq!(numbers[0], 0, "{map}");
    (numbers[1], numbers[2])
}

/// The user that a process is, as the host sees it.
fn owner(inspect: &Value) -> u32 {
    let pid = inspect["State"]["Pid"].as_u64().unwrap();
    fs::metadata(format!("/proc/{pid}")).unwrap().uid()
}

#[test]
fn root_inside_is_not_root_outside() {
    let engine = Engine::start();
    let id = engine.shell(
        "id -u; stat -c %u:%g /bin/busybox /etc/hosts /; touch /new; stat -c %u /new; \
         cat /proc/self/uid_map; echo changed >> /etc/hosts; echo again > /dev/stdout; echo end; sleep 1000",
        &json!({ "UsernsMode": "auto" }),
    );
    engine.poll_log(&id, "end");
    let inspect = engine.agent.inspect(&id);
    let (first, size) = ids(&inspect);
    assert_eq!((owner(&inspect), size), (first, 65536));
    assert_eq!(inspect["HostConfig"]["UsernsMode"], "auto");
    let log = engine.logs(&id);
    let words: Vec<&str> = log.split_whitespace().collect();
    let (first, size) = (first.to_string(), size.to_string());
    let map = ["0", first.as_str(), size.as_str()];
    assert_eq!(words[..5], ["0", "0:0", "0:0", "0:0", "0"], "{log}");
    assert_eq!(words[5..], [&map[..], &["again", "end"]].concat(), "{log}");
    // A further process is in there too, and may write where the first may.
    let (code, told) = engine.exec(
        &id,
        &[
            "sh",
            "-c",
            "touch /more && stat -c %u /more > /dev/stdout && kill -0 1",
        ],
    );
    assert_eq!((code, told.trim()), (0, "0"));
    let upper = inspect["GraphDriver"]["Data"]["UpperDir"].as_str().unwrap();
    let more = fs::metadata(format!("{upper}/more")).unwrap();
    assert_eq!(more.uid().to_string(), first);
    engine.agent.assert_nothing_left();
}

#[test]
fn containers_have_ids_of_their_own_and_share_volumes() {
    let engine = Engine::start();
    let folder = engine.agent.scratch("bound");
    fs::create_dir_all(&folder).unwrap();
    let host = |folder: &std::path::Path| {
        let binds = json!(["shared:/data", format!("{}:/bound", folder.display())]);
        json!({ "UsernsMode": "private", "Binds": binds })
    };
    let writer = engine.shell(
        "echo text > /data/file; chown 7:8 /data/file; echo text > /bound/file; echo done; sleep 1000",
        &host(&folder),
    );
    engine.poll_log(&writer, "done");
    let reader = engine.shell(
        "stat -c %u:%g /data/file /bound/file; cat /data/file; echo done; sleep 1000",
        &host(&folder),
    );
    engine.poll_log(&reader, "done");
    assert_eq!(
        engine.logs(&reader).split_whitespace().collect::<Vec<_>>(),
        ["7:8", "0:0", "text", "done"]
    );
    // A container in the host's user namespace sees the same, and so does the host.
    let plain = json!({ "Binds": ["shared:/data"] });
    let (_, seen) = engine.run("stat -c %u:%g /data/file", &plain);
    assert_eq!(seen.trim(), "7:8");
    assert_eq!(fs::metadata(folder.join("file")).unwrap().uid(), 0);
    let (a, b) = (engine.agent.inspect(&writer), engine.agent.inspect(&reader));
    let (first, second) = (ids(&a), ids(&b));
    assert!(
        first.0 + first.1 <= second.0 || second.0 + second.1 <= first.0,
        "{first:?} {second:?}"
    );
    engine.agent.assert_nothing_left();
}

#[test]
fn ids_stay_with_a_container_and_come_back_with_its_end() {
    let engine = Engine::start();
    let mut agent = engine.agent;
    let create = |agent: &crate::support::Agent| {
        let host = json!({ "NetworkMode": "none", "UsernsMode": "auto:size=1000" });
        agent.create(&json!({ "Image": engine.image, "Cmd": ["true"], "HostConfig": host }))
    };
    let (one, two) = (create(&agent), create(&agent));
    let before = [&one, &two].map(|id| ids(&agent.inspect(id)));
    assert_ne!(before[0], before[1]);
    agent.stop();
    agent.start_again();
    assert_eq!([&one, &two].map(|id| ids(&agent.inspect(id))), before);
    let three = create(&agent);
    assert!(!before.contains(&ids(&agent.inspect(&three))));
    agent.api().delete(&format!("/containers/{one}")).ok();
    assert_eq!(ids(&agent.inspect(&create(&agent))), before[0]);
    agent.assert_nothing_left();
}

#[test]
fn what_a_user_namespace_has_no_rights_in_is_refused() {
    let engine = Engine::start();
    for (host, words) in [
        (
            json!({ "Privileged": true }),
            "privileged mode is incompatible",
        ),
        (
            json!({ "NetworkMode": "host" }),
            "the host's network namespace",
        ),
        (json!({ "PidMode": "host" }), "a PID namespace"),
        (
            json!({ "UsernsMode": "keep-id" }),
            "invalid USER mode: keep-id",
        ),
    ] {
        let mut host = host;
        if host["UsernsMode"].is_null() {
            host["UsernsMode"] = json!("auto");
        }
        let body = json!({ "Image": engine.image, "HostConfig": host });
        let answer = engine.agent.api().post("/containers/create", &body);
        assert_eq!(answer.status, 400);
        let told = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(told.contains(words), "{told}");
    }
    engine.agent.assert_nothing_left();
}
