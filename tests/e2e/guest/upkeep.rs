//! The upkeep of a running machine: containers, the clock, shares that are refused, an API server that dies.

use serde_json::{Value, json};

use super::guest::{DiskFile, Guest, PATIENCE};
use super::support::{Image, poll, run_with_input};

#[test]
fn a_machine_runs_containers_and_is_kept_up_by_its_host() {
    let disk = DiskFile::new(1024);
    let guest = Guest::boot(&disk);
    let said = guest.docker(&["run", "--rm", "proa/hello"]).ok();
    assert!(said.contains("cgroup        version 2"), "{said}");
    let info = guest.api().get("/info").ok().json();
    assert_eq!(info["OperatingSystem"], "Proa 0.1.0", "{info}");
    the_clock_is_set(&guest);
    shares_are_refused(&guest);
    containers_live_on(&guest);
    let console = guest.shut_down();
    assert!(
        console.contains("proa: network up: eth0 10.0.2.15/24"),
        "{console}"
    );
}

fn the_clock_is_set(guest: &Guest) {
    // 2030-01-01
    let clock = json!({ "unix_nanoseconds": 1_893_456_000_000_000_000_i64 });
    guest.api().post("/proa/v1/clock", &clock).ok();
    let info = guest.api().get("/info").ok().json();
    assert!(
        info["SystemTime"]
            .as_str()
            .unwrap()
            .starts_with("2030-01-01T"),
        "{info}"
    );
    guest.api().post("/proa/v1/clock", &json!({})).failed(400);
}

fn shares_are_refused(guest: &Guest) {
    let put = |share: Value| {
        let body = json!({ "shares": [share] }).to_string();
        let headers = [("Content-Type", "application/json")];
        guest
            .api()
            .send("PUT", "/proa/v1/shares", &headers, body.as_bytes())
    };
    let told = put(json!({ "tag": "share0", "path": "/proc/x" })).failed(400);
    assert!(told.contains("/proc/x"), "{told}");
    let told = put(json!({ "tag": "nothing", "path": "/home/somebody" })).failed(500);
    assert!(
        told.contains("mount the share nothing at /home/somebody"),
        "{told}"
    );
}

/// The API server is killed by a container that sees the machine's processes; others do not notice.
fn containers_live_on(guest: &Guest) {
    let archive = Image::busybox().archive("localhost/b:1");
    run_with_input(&mut guest.docker_command(&["load"]), &archive).ok();
    guest
        .docker(&[
            "run",
            "-d",
            "--name",
            "lives",
            "--restart",
            "unless-stopped",
            "localhost/b:1",
            "sleep",
            "1000",
        ])
        .ok();
    let started = |guest: &Guest| {
        guest.api().get("/containers/lives/json").ok().json()["State"]["StartedAt"].clone()
    };
    let before = started(guest);
    let pid = guest.health()["pid"].to_string();
    guest.docker(&[
        "run",
        "-d",
        "--pid",
        "host",
        "--privileged",
        "localhost/b:1",
        "kill",
        "-9",
        &pid,
    ]);
    poll(PATIENCE, "another API server answers", || {
        let answer = guest.api().try_send("GET", "/proa/v1/health", &[], b"");
        answer.is_ok_and(|answer| {
            answer.status == 200 && answer.json()["pid"].as_u64() != pid.parse().ok()
        })
    });
    assert_eq!(started(guest), before);
}
