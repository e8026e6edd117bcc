//! The embedded image: no registry, nothing loaded, and a container tells about itself.

use serde_json::json;

use crate::support::Agent;

#[test]
fn a_fresh_engine_runs_the_image_it_carries() {
    let agent = Agent::start();
    let said = agent
        .proa(&[
            "run",
            "--rm",
            "--network",
            "none",
            "-m",
            "64m",
            "--pids-limit",
            "50",
            "proa/hello",
        ])
        .ok();
    for word in [
        "Hello from Proa",
        "PID 1, the first of its own tree",
        "64 MiB",
        "of 50",
        "14 of",
        "filtered, 1 program",
        "overlay on 1 layer",
    ] {
        assert!(said.contains(word), "{word:?} in\n{said}");
    }
    agent.assert_nothing_left();
}

#[test]
fn the_carried_image_can_be_listed_pulled_and_removed_for_good() {
    let agent = Agent::start();
    let mut api = agent.api();
    assert_eq!(api.get("/images/json").ok().json(), json!([]));
    let pulled = api
        .post(
            "/images/create?fromImage=proa/hello&tag=latest",
            &serde_json::Value::Null,
        )
        .ok();
    assert!(
        pulled.text().contains("proa/hello:latest"),
        "{}",
        pulled.text()
    );
    let image = api.get("/images/proa/hello/json").ok().json();
    assert_eq!(image["Config"]["Entrypoint"], json!(["/hello"]));
    assert_eq!(
        api.get("/images/json").ok().json().as_array().map(Vec::len),
        Some(1)
    );
    api.delete("/images/proa/hello:latest").ok();
    assert_eq!(api.get("/images/json").ok().json(), json!([]));
    agent.assert_nothing_left();
}

#[test]
fn its_words_need_no_shell() {
    let agent = Agent::start();
    let run = |words: &[&str]| {
        let mut command = vec!["run", "--rm", "--network", "none", "proa/hello"];
        command.extend(words);
        agent.proa(&command)
    };
    assert_eq!(run(&["echo", "a", "b"]).ok(), "a b\n");
    run(&["true"]).ok();
    run(&["exit", "42"]).failed(42);
    run(&["sleep", "0.01"]).ok();
    agent.assert_nothing_left();
}
