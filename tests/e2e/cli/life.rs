//! A container's life, verb by verb.

use crate::support::{Agent, Image};

#[test]
fn a_container_is_created_started_stopped_and_removed() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let create = [
        "create",
        "--name",
        "life",
        "--network",
        "none",
        "-e",
        "A=1",
        &image,
        "sleep",
        "100",
    ];
    let id = agent.proa(&create).ok().trim().to_owned();
    let state = || {
        agent
            .proa(&["inspect", "-f", "{{.State.Status}}", "life"])
            .ok()
    };
    assert_eq!(state(), "created\n");
    assert_eq!(agent.proa(&["start", "life"]).ok(), "life\n");
    assert_eq!(state(), "running\n");
    assert_eq!(agent.proa(&["ps", "-q", "--no-trunc"]).ok().trim(), id);
    assert_eq!(
        agent.proa(&["exec", "life", "sh", "-c", "echo $A"]).ok(),
        "1\n"
    );
    agent.proa(&["pause", "life"]).ok();
    assert_eq!(state(), "paused\n");
    agent.proa(&["unpause", "life"]).ok();
    agent.proa(&["rename", "life", "death"]).ok();
    assert_eq!(agent.proa(&["kill", "-s", "KILL", "death"]).ok(), "death\n");
    assert_eq!(agent.proa(&["wait", "death"]).ok(), "137\n");
    agent.proa(&["restart", "-t", "0", "death"]).ok();
    agent.proa(&["stop", "-t", "0", "death"]).ok();
    assert_eq!(agent.proa(&["rm", "death"]).ok(), "death\n");
    assert_eq!(agent.proa(&["ps", "-aq"]).ok(), "");
    agent.assert_nothing_left();
}

#[test]
fn exit_codes_are_dockers() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let run = |words: &[&str]| {
        let line: Vec<&str> = ["run", "--rm", "--network", "none"]
            .iter()
            .chain(words)
            .copied()
            .collect();
        agent.proa(&line)
    };
    run(&[&image, "true"]).ok();
    run(&[&image, "sh", "-c", "exit 42"]).failed(42);
    run(&[&image, "sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).failed(137);
    assert!(
        run(&[&image, "no-such-program"])
            .failed(127)
            .contains("executable file not found")
    );
    assert!(
        run(&[&image, "/etc"])
            .failed(126)
            .contains("permission denied")
    );
    assert!(
        run(&["--memory", "1", &image, "true"])
            .failed(125)
            .contains("memory")
    );
    assert!(
        run(&["--pull", "never", "nowhere/none:1"])
            .failed(125)
            .contains("No such image")
    );
    assert!(
        run(&["--restart", "always", &image])
            .failed(125)
            .contains("conflicting options")
    );
    assert_eq!(
        agent.proa(&["ps", "-aq"]).ok(),
        "",
        "nothing that failed stays with --rm"
    );
    agent.assert_nothing_left();
}

#[test]
fn several_are_treated_alike_and_one_that_fails_stops_none() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    for name in ["one", "two"] {
        agent
            .proa(&[
                "run",
                "-d",
                "--name",
                name,
                "--network",
                "none",
                &image,
                "sleep",
                "100",
            ])
            .ok();
    }
    let ran = agent.proa(&["rm", "-f", "one", "nobody", "two"]);
    assert_eq!(
        ran.out, "one\nnobody\ntwo\n",
        "what is not there need not be removed by force"
    );
    let ran = agent.proa(&["start", "nobody"]);
    assert!(ran.failed(1).contains("No such container: nobody"));
    agent.assert_nothing_left();
}

#[test]
fn the_id_file_is_written_once() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let file = agent.scratch("ids").join("id");
    let path = file.to_str().expect("a plain path");
    let create = ["create", "--cidfile", path, "--network", "none", &image];
    let id = agent.proa(&create).ok();
    assert_eq!(
        std::fs::read_to_string(&file).expect("it was written"),
        id.trim()
    );
    assert!(
        agent
            .proa(&create)
            .failed(1)
            .contains("container ID file found")
    );
    agent.proa(&["rm", id.trim()]).ok();
    agent.assert_nothing_left();
}

#[test]
fn without_an_engine_the_user_is_told_what_to_do() {
    let ran = crate::support::run(
        std::process::Command::new(crate::support::program("proa"))
            .args(["ps"])
            .env("PROA_HOST", "unix:///nonexistent/proa.sock"),
    );
    let said = ran.failed(1);
    assert!(
        said.contains("cannot reach the engine at unix:///nonexistent/proa.sock"),
        "{said}"
    );
    assert!(said.contains("is it running?"), "{said}");
}
