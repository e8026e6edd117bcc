//! Standard streams, logs and signals.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::support::{Agent, Image, poll};

/// Bytes that no pattern compresses or aligns.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            _ = write!(text, "{byte:02x}");
            text
        })
}

#[test]
fn a_hundred_megabytes_go_in_and_nothing_is_lost() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let bytes = noise(100_000_000);
    let run = [
        "run",
        "--rm",
        "-i",
        "--network",
        "none",
        &image,
        "sha256sum",
    ];
    let sum = agent.proa_with_input(&run, &bytes).ok();
    assert_eq!(sum.split_whitespace().next(), Some(hex(&bytes).as_str()));
    agent.assert_nothing_left();
}

#[test]
fn what_goes_in_comes_out_again() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let bytes = noise(5_000_000);
    let mut child = agent
        .proa_command(&["run", "--rm", "-i", "--network", "none", &image, "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("proa starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let copy = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&copy));
    let output = child.wait_with_output().expect("a child can be waited for");
    writer.join().expect("no panic").expect("all was taken");
    assert!(
        output.stdout == bytes,
        "{} of {} bytes came back",
        output.stdout.len(),
        bytes.len()
    );
    agent.assert_nothing_left();
}

#[test]
fn both_outputs_stay_apart_and_are_logged() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let run = [
        "run",
        "--name",
        "both",
        "--network",
        "none",
        &image,
        "sh",
        "-c",
        "echo out; echo err >&2",
    ];
    let ran = agent.proa(&run);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("out\n", "err\n"));
    let logs = agent.proa(&["logs", "both"]);
    assert_eq!((logs.out.as_str(), logs.err.as_str()), ("out\n", "err\n"));
    assert_eq!(agent.proa(&["logs", "--tail", "0", "both"]).ok(), "");
    let stamped = agent.proa(&["logs", "-t", "both"]).ok();
    assert!(
        stamped.starts_with("20") && stamped.ends_with("Z out\n"),
        "{stamped}"
    );
    agent.proa(&["rm", "both"]).ok();
    agent.assert_nothing_left();
}

#[test]
fn signals_are_passed_on() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let script = "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let child = agent
        .proa_command(&[
            "run",
            "--rm",
            "--name",
            "sig",
            "--network",
            "none",
            &image,
            "sh",
            "-c",
            script,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("proa starts");
    poll(Duration::from_secs(20), "the container is ready", || {
        agent.proa(&["logs", "sig"]).out.contains("ready")
    });
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
    let output = child.wait_with_output().expect("a child can be waited for");
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(7), &b"ready\ncaught\n"[..])
    );
    agent.assert_nothing_left();
}

#[test]
fn exec_has_streams_and_an_exit_code_of_its_own() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    agent
        .proa(&[
            "run",
            "-d",
            "--name",
            "host",
            "--network",
            "none",
            &image,
            "sleep",
            "100",
        ])
        .ok();
    assert_eq!(
        agent
            .proa_with_input(&["exec", "-i", "host", "cat"], b"through")
            .ok(),
        "through"
    );
    agent
        .proa(&["exec", "host", "sh", "-c", "exit 9"])
        .failed(9);
    assert_eq!(
        agent
            .proa(&[
                "exec",
                "-w",
                "/tmp",
                "-e",
                "X=1",
                "host",
                "sh",
                "-c",
                "pwd; echo $X"
            ])
            .ok(),
        "/tmp\n1\n"
    );
    agent.proa(&["exec", "host", "no-such-program"]).failed(127);
    agent.proa(&["exec", "-d", "host", "touch", "/made"]).ok();
    poll(Duration::from_secs(10), "the file is made", || {
        agent.proa(&["exec", "host", "test", "-e", "/made"]).code == 0
    });
    agent.proa(&["rm", "-f", "host"]).ok();
    agent.assert_nothing_left();
}
