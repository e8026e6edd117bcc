//! `proa debug`: a shell beside a container that has none.

use crate::support::{Agent, Image};

/// A program that waits, and no shell or anything else.
fn bare() -> Image {
    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    Image::empty()
        .layer(|files| {
            files
                .file("sleep", 0o755, &busybox)
                .file("only-here", 0o600, b"secret\n")
        })
        .cmd(&["/sleep", "1000"])
}

#[test]
fn tools_of_the_host_look_into_a_container_without_any() {
    let agent = Agent::start();
    let image = agent.load(&bare());
    let run = [
        "run",
        "-d",
        "--name",
        "bare",
        "--network",
        "none",
        "--user",
        "1234",
        &image,
    ];
    agent.proa(&run).ok();
    agent.proa(&["exec", "bare", "sh"]).failed(127);
    let debug = |words: &[&str]| agent.proa(&[&["debug", "bare"], words].concat());
    assert_eq!(debug(&["cat", "/proc/1/root/only-here"]).ok(), "secret\n");
    assert!(debug(&["ps", "ax"]).ok().contains("/sleep 1000"));
    let namespace = "readlink /proc/1/ns/net /proc/self/ns/net | uniq | wc -l";
    assert_eq!(debug(&["sh", "-c", namespace]).ok().trim(), "1");
    // What is lent is not the container's to change.
    debug(&["sh", "-c", "echo > /usr/bin/new-here"]).failed(2);
    let shell = agent.proa_with_input(&["debug", "bare"], b"echo it is $((6*7))\nexit 3\n");
    assert!(shell.failed(3).is_empty());
    assert_eq!(agent.proa(&["ps", "-aq"]).ok().lines().count(), 1);
    agent.proa(&["rm", "-f", "bare"]).ok();
    agent.assert_nothing_left();
}

#[test]
fn an_image_of_ones_own_serves_too() {
    let agent = Agent::start();
    let (image, tools) = (agent.load(&bare()), agent.load(&Image::busybox()));
    let run = [
        "run",
        "-d",
        "--name",
        "bare",
        "--network",
        "none",
        "--ipc",
        "shareable",
        &image,
    ];
    agent.proa(&run).ok();
    let debug = ["debug", "--image", &tools, "bare"];
    let shell = agent.proa_with_input(&debug, b"cat /proc/1/root/only-here\n");
    assert_eq!(shell.ok(), "secret\n");
    agent.proa(&["stop", "-t", "0", "bare"]).ok();
    assert!(agent.proa(&debug).failed(1).contains("is not running"));
    assert!(
        agent
            .proa(&["debug", "nobody"])
            .failed(1)
            .contains("nobody")
    );
    agent.proa(&["rm", "bare"]).ok();
    agent.assert_nothing_left();
}
