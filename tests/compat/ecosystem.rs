//! Tools that bring their own idea of an engine: Testcontainers, with a reaper that works through Docker's socket.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Agent, Network, peer, peers_root, poll, program_of_clients, run};

/// Copies an image with skopeo.
fn copy(from: &str, to: &str) {
    run(peer("skopeo").args(["--insecure-policy", "copy", "--quiet", from, to])).ok();
}

/// Loads an image of an OCI layout under `name`.
fn load(agent: &Agent, from: &str, name: &str) {
    let archive = agent
        .scratch("archives")
        .join(format!("{}.tar", crate::support::unique()));
    copy(
        from,
        &format!("docker-archive:{}:{name}", archive.display()),
    );
    agent
        .docker(&["load", "--quiet", "--input", &archive.display().to_string()])
        .ok();
    std::fs::remove_file(archive).expect("it is ours");
}

/// The image of the services, with the reaper as its command.
fn load_reaper(agent: &Agent) {
    let layout = agent.scratch("layout").join("reaper");
    let layout = layout.display().to_string();
    let services = format!("oci:{}/images:services", peers_root().display());
    copy(&services, &format!("oci:{layout}:services"));
    let script =
        std::fs::read_to_string(scripts().join("reaper.py")).expect("it is in the source tree");
    let image = format!("{layout}:services");
    let words = [
        "config",
        "--image",
        &image,
        "--tag",
        "reaper",
        "--clear=config.cmd",
    ];
    let cmd = [
        "--config.cmd=python3",
        "--config.cmd=-c",
        &format!("--config.cmd={script}"),
    ]
    .map(str::to_owned);
    run(peer("umoci").args(words).args(cmd)).ok();
    load(agent, &format!("oci:{layout}:reaper"), "localhost/reaper:1");
}

fn scripts() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/compat/testcontainers"
    ))
}

#[test]
fn testcontainers_start_a_database_and_their_reaper_takes_it_away() {
    let network = Network::new();
    let agent = Agent::start_in(&network);
    let services = format!("oci:{}/images:services", peers_root().display());
    load(&agent, &services, "localhost/services:1");
    load_reaper(&agent);
    let mut session: Command = network.host(program_of_clients());
    session
        .arg("python")
        .arg(scripts().join("session.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HOME", agent.scratch("home"))
        .env("DOCKER_CONFIG", agent.scratch("docker"))
        .env(
            "DOCKER_HOST",
            format!("unix://{}", agent.socket().display()),
        )
        .env(
            "TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE",
            "/var/run/docker.sock",
        )
        .env("RYUK_CONTAINER_IMAGE", "localhost/reaper:1");
    let said = run(&mut session).ok();
    assert_eq!(said.trim(), r"[b'+OK', b'$5', b'value'] b'value\n'");
    poll(
        Duration::from_secs(120),
        "the reaper took the database away and ended",
        || agent.docker(&["ps", "--all", "--quiet"]).ok().is_empty(),
    );
    agent.assert_nothing_left();
}

#[test]
fn the_socket_that_a_container_asks_for_is_this_engine_s() {
    let agent = Agent::start();
    let services = format!("oci:{}/images:services", peers_root().display());
    load(&agent, &services, "localhost/services:1");
    let script = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/engine.sock'); \
                  s.sendall(b'GET /info HTTP/1.0\\r\\n\\r\\n'); \
                  print(b''.join(iter(lambda: s.recv(4096), b'')).decode().split('\\r\\n\\r\\n')[1])";
    for asked in ["/var/run/docker.sock", "/run/docker.sock"] {
        let bind = format!("{asked}:/run/engine.sock");
        let words = [
            "run",
            "--rm",
            "--network",
            "none",
            "-v",
            &bind,
            "localhost/services:1",
            "python3",
            "-c",
            script,
        ];
        let told = agent.docker(&words).ok();
        let info: serde_json::Value =
            serde_json::from_str(&told).expect("it is what the engine tells of itself");
        assert_eq!(info["DockerRootDir"], agent.root().display().to_string());
    }
    agent.assert_nothing_left();
}
