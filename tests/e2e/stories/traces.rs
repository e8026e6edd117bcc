//! Two runs in sequence leave nothing: no mount, no cgroup, no process, no file.

use serde_json::json;

use crate::kit::Engine;
use crate::support::leftovers;

#[test]
fn many_ends_of_containers_leave_nothing() {
    for _ in 0..2 {
        let engine = Engine::start();
        // A daemon left behind by its first process, a container that ends by a signal, one that never starts.
        engine.run("sleep 1000 & setsid sleep 1000 & exit 0", &json!({}));
        engine.run("kill -9 $$", &json!({}));
        let id = engine.agent.create(&json!({ "Image": engine.image, "Cmd": ["/no/such/program"], "HostConfig": { "NetworkMode": "none" } }));
        let refused = engine
            .agent
            .api()
            .post(&format!("/containers/{id}/start"), &serde_json::Value::Null);
        assert!(refused.status >= 400, "{}", refused.text());
        let state = engine.agent.inspect(&id);
        assert_eq!(state["State"]["ExitCode"], 127, "{state}");
        engine.shell(
            "trap '' TERM; sleep 1000",
            &json!({ "Tmpfs": { "/t": "" }, "Binds": ["named:/n", "/tmp:/b:ro"] }),
        );
        engine.agent.assert_nothing_left();
    }
}

#[test]
fn a_removed_container_leaves_nothing_at_once() {
    let engine = Engine::start();
    let id = engine.shell("sleep 1000", &json!({}));
    assert!(
        !leftovers::cgroups(std::slice::from_ref(&id)).is_empty(),
        "a running container has cgroups"
    );
    engine
        .agent
        .api()
        .delete(&format!("/containers/{id}?force=1&v=1"))
        .ok();
    let ids = [id.clone()];
    assert_eq!(leftovers::cgroups(&ids), Vec::<std::path::PathBuf>::new());
    assert_eq!(leftovers::processes(&[], &ids), Vec::<u32>::new());
    for folder in [
        engine.agent.root().join("containers").join(&id),
        engine.agent.run_folder().join("containers").join(&id),
    ] {
        assert!(!folder.exists(), "{} is left", folder.display());
    }
    engine.agent.assert_nothing_left();
}
