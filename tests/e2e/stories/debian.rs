//! Images that other people's tools made of Debian's own files: debootstrap and umoci made them, skopeo sends them.

use std::time::Duration;

use crate::support::{Agent, Registry, peer, peers_root, poll, run};

/// Sends one of the two images to a registry with skopeo; the answer is its name there.
fn send(registry: &Registry, image: &str) -> String {
    let name = format!("{}/{image}:1", registry.address());
    let from = format!("oci:{}/images:{image}", peers_root().display());
    let policy = [
        "--insecure-policy",
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
    ];
    run(peer("skopeo")
        .args(policy)
        .arg(from)
        .arg(format!("docker://{name}")))
    .ok();
    name
}

#[test]
fn a_debian_base_is_a_debian_inside() {
    let (registry, agent) = (Registry::start(), Agent::start());
    let name = send(&registry, "debian");
    agent.docker(&["pull", &name]).ok();
    let shell = |script: &str| {
        agent
            .docker(&[
                "run",
                "--rm",
                "--network",
                "none",
                &name,
                "bash",
                "-c",
                script,
            ])
            .ok()
    };
    assert!(shell("cat /etc/os-release").contains("Debian"));
    // Set-user-id, sticky, links, owners: what a sloppy unpacking loses.
    assert_eq!(
        shell("stat -c %a /usr/bin/passwd /tmp /var/mail /etc/shadow").trim(),
        "4755\n1777\n2775\n640"
    );
    assert_eq!(
        shell("readlink /bin; stat -c %U:%G /etc/shadow").trim(),
        "usr/bin\nroot:shadow"
    );
    // dpkg knows a checksum for nearly every file, and none may have changed on the way here.
    let verified = shell("dpkg --verify; echo verified $?");
    assert!(verified.ends_with("verified 0\n"), "{verified}");
    assert_eq!(
        shell("id -un; su -s /bin/sh nobody -c 'id -un; touch /x 2>/dev/null || echo refused'")
            .trim(),
        "root\nnobody\nrefused"
    );
    agent.assert_nothing_left();
}

#[test]
fn an_nginx_serves_and_ends_when_asked() {
    let (registry, agent) = (Registry::start(), Agent::start());
    let name = send(&registry, "nginx");
    agent.proa(&["pull", &name]).ok();
    let id = agent
        .proa(&["run", "-d", "--name", "web", "--network", "none", &name])
        .ok();
    let fetch = "exec 3<>/dev/tcp/127.0.0.1/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    poll(Duration::from_secs(30), "nginx answers", || {
        agent
            .proa(&["exec", "web", "bash", "-c", fetch])
            .out
            .contains("Welcome to nginx")
    });
    // The image asks for SIGQUIT, which lets nginx end by itself.
    agent.proa(&["stop", "-t", "20", "web"]).ok();
    let state = agent.inspect(id.trim());
    assert_eq!(state["State"]["ExitCode"], 0, "{state:#}");
    agent.assert_nothing_left();
}

#[test]
fn the_layer_both_share_is_fetched_once() {
    let (registry, agent) = (Registry::start(), Agent::start());
    agent.docker(&["pull", &send(&registry, "debian")]).ok();
    let told = agent.docker(&["pull", &send(&registry, "nginx")]).ok();
    assert!(told.contains("Already exists"), "{told}");
    agent.assert_nothing_left();
}
