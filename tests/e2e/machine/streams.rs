//! Standard streams through the machine's transport.

use std::io::Write;
use std::process::Stdio;

use sha2::{Digest, Sha256};

use crate::kit::{User, until};

/// Bytes that no pattern compresses or aligns.
pub(crate) fn noise(count: usize) -> Vec<u8> {
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

pub(crate) fn sum(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

#[test]
fn a_hundred_megabytes_come_back_as_they_went_in() {
    let user = User::started();
    let bytes = noise(100_000_000);
    let mut child = user
        .docker_command(&["run", "--rm", "-i", &user.image, "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let expected = sum(&bytes);
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().expect("a child can be waited for");
    writer.join().expect("no panic").expect("all was taken");
    assert!(output.status.success());
    assert_eq!(output.stdout.len(), 100_000_000);
    assert_eq!(sum(&output.stdout), expected);
}

#[test]
fn the_end_of_input_is_carried_and_the_answer_still_comes() {
    let user = User::started();
    let mut child = user
        .docker_command(&["run", "--rm", "-i", &user.image, "sh", "-c"])
        .arg("wc -c; sleep 1; echo later")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"twelve bytes").expect("it is read");
    drop(stdin);
    let output = child.wait_with_output().expect("a child can be waited for");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "12\nlater\n");
}

#[test]
fn a_reader_that_stops_reading_stops_the_writer() {
    let user = User::started();
    let mut child = user
        .docker_command(&["run", "--rm", "--name", "fast", &user.image, "cat"])
        .arg("/dev/zero")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker starts");
    // Nobody reads; whatever lies between holds a bounded amount.
    until("the container runs", || {
        user.docker(&["top", "fast"]).code == 0
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    let status = std::fs::read_to_string(format!("/proc/{}/status", user.supervisor()));
    let status = status.expect("it runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|text| text.split_whitespace().next());
    let kilobytes: u64 = kilobytes
        .and_then(|text| text.parse().ok())
        .expect("a number");
    assert!(kilobytes < 64 * 1024, "{kilobytes} kB");
    user.docker(&["kill", "fast"]).ok();
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn exec_and_exit_codes_pass() {
    let user = User::started();
    let container = user.detached(&[], &["sleep", "1000"]);
    let said = user.docker(&["exec", &container, "sh", "-c", "echo out; exit 7"]);
    assert_eq!(said.out, "out\n");
    said.failed(7);
    user.docker(&["rm", "-f", &container]).ok();
}

#[test]
fn a_client_that_hangs_up_is_let_go() {
    let user = User::started();
    let container = user.detached(&[], &["sleep", "1000"]);
    let mut following = user
        .docker_command(&["attach", "--no-stdin", &container])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("docker starts");
    let open = || user.status()["openStreams"].as_u64();
    until("the stream is open", || open() > Some(0));
    following.kill().expect("it runs");
    let _ = following.wait();
    until("the stream is closed", || open() == Some(0));
    user.docker(&["rm", "-f", &container]).ok();
}
