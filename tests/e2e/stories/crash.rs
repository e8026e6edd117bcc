//! Crashes: `serve`, a monitor and the keeper are killed while containers write, run execs and hold the API's socket.
//! Everything is found again: each container, each exit code, every line.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::Engine;
use crate::support::{Agent, Client, poll};

const LINES: usize = 2000;

fn send(signal: &str, pid: u32) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .status()
        .unwrap();
    assert!(sent.success(), "kill -{signal} {pid}");
}

/// A process's parent, from the fourth field of its status line.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// The API server: the keeper's child that has more than one thread.
fn serve(agent: &Agent) -> u32 {
    let pids = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut children = pids.filter(|pid| parent(*pid) == Some(agent.pid()));
    let threads = |pid: u32| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    children
        .find(|pid| threads(*pid) > 1)
        .expect("the keeper has a child with threads")
}

pub fn kill_serve(agent: &Agent) {
    let old = serve(agent);
    send("KILL", old);
    poll(
        Duration::from_secs(20),
        "the old API server is gone",
        || parent(old).is_none_or(|parent| parent != agent.pid()),
    );
    agent.wait_until_up();
}

fn pid_of(agent: &Agent, id: &str) -> u32 {
    agent.inspect(id)["State"]["Pid"].as_u64().unwrap() as u32
}

/// Writes numbered lines, with a pause now and then, and ends with 7.
fn writer() -> String {
    format!(
        "i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; [ $((i % 20)) = 0 ] && usleep 20000; done; exit 7"
    )
}

#[track_caller]
fn assert_every_line(log: &str) {
    let expected: Vec<_> = (1..=LINES).map(|number| format!("line {number}")).collect();
    let lines: Vec<_> = log.lines().collect();
    let first = lines
        .iter()
        .zip(&expected)
        .find(|(line, expected)| *line != expected);
    assert!(
        lines.len() == LINES && first.is_none(),
        "{} of {LINES} lines; the first wrong one: {first:?}",
        lines.len()
    );
}

fn start_exec(engine: &Engine, id: &str, script: &str) -> String {
    let mut api = engine.agent.api();
    let created = api
        .post(
            &format!("/containers/{id}/exec"),
            &json!({ "Cmd": ["sh", "-c", script] }),
        )
        .ok()
        .json();
    let exec = created["Id"].as_str().unwrap().to_owned();
    api.post(&format!("/exec/{exec}/start"), &json!({ "Detach": true }))
        .ok();
    exec
}

#[test]
fn killing_the_api_server_loses_no_line_no_exit_code_and_no_exec() {
    let engine = Engine::start();
    let agent = &engine.agent;
    let writes = engine.shell(&writer(), &json!({}));
    let sleeps = engine.shell("sleep 1000", &json!({}));
    let exec = start_exec(&engine, &sleeps, "sleep 2; exit 9");
    let pid = pid_of(agent, &sleeps);
    for _ in 0..3 {
        sleep(Duration::from_millis(300));
        kill_serve(agent);
    }
    assert_eq!(pid_of(agent, &sleeps), pid, "the container never stopped");
    assert_eq!(agent.wait(&writes), 7);
    assert_every_line(&engine.logs(&writes));
    let ended = || agent.api().get(&format!("/exec/{exec}/json")).ok().json();
    poll(Duration::from_secs(20), "the exec has ended", || {
        ended()["Running"] == false
    });
    assert_eq!(ended()["ExitCode"], 9);
    let (code, output) = engine.exec(&sleeps, &["echo", "again"]);
    assert_eq!((code, output.as_str()), (0, "again\n"));
    engine.agent.assert_nothing_left();
}

#[test]
fn what_ends_while_the_api_server_is_away_is_recorded() {
    let engine = Engine::start();
    let agent = &engine.agent;
    let ends = engine.shell("sleep 1; echo last words; exit 3", &json!({}));
    let removes_itself = engine.shell("sleep 1", &json!({ "AutoRemove": true }));
    let serve = serve(agent);
    // A stopped keeper cannot start another one.
    send("STOP", agent.pid());
    send("KILL", serve);
    sleep(Duration::from_secs(2));
    send("CONT", agent.pid());
    agent.wait_until_up();
    assert_eq!(agent.wait(&ends), 3);
    let state = &agent.inspect(&ends)["State"];
    assert_eq!(state["Status"], "exited", "{state}");
    assert_eq!(engine.logs(&ends), "last words\n");
    let took = |key: &str| state[key].as_str().unwrap().to_owned();
    assert!(took("FinishedAt") > took("StartedAt"), "{state}");
    poll(
        Duration::from_secs(10),
        "the --rm container is gone",
        || {
            agent
                .api()
                .get(&format!("/containers/{removes_itself}/json"))
                .status
                == 404
        },
    );
    engine.agent.assert_nothing_left();
}

#[test]
fn a_container_that_holds_the_socket_notices_nothing() {
    let engine = Engine::start();
    let socket = engine.agent.socket();
    let holder = engine.shell(
        "sleep 1000",
        &json!({ "Binds": [format!("{}:/api.sock", socket.display())] }),
    );
    let inside = format!("/proc/{}/root/api.sock", pid_of(&engine.agent, &holder));
    let ask = || Client::unix(inside.as_ref()).get("/_ping").status;
    assert_eq!(ask(), 200);
    send("KILL", serve(&engine.agent));
    // No waiting: the connection is taken by the socket, and answered when there is somebody again.
    let started = Instant::now();
    assert_eq!(ask(), 200);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    engine.agent.assert_nothing_left();
}

#[test]
fn killing_a_monitor_ends_its_container_and_nothing_else() {
    let engine = Engine::start();
    let agent = &engine.agent;
    let victim = engine.shell("echo before; sleep 1000", &json!({}));
    let other = engine.shell(&writer(), &json!({}));
    engine.poll_log(&victim, "before");
    let first_process = pid_of(agent, &victim);
    send("KILL", parent(first_process).unwrap());
    poll(
        Duration::from_secs(20),
        "the container counts as ended",
        || agent.inspect(&victim)["State"]["Status"] == "exited",
    );
    let state = &agent.inspect(&victim)["State"];
    assert_eq!(state["ExitCode"], 137, "{state}");
    assert_ne!(state["Error"], "", "{state}");
    poll(Duration::from_secs(10), "its processes are gone", || {
        !fs::exists(format!("/proc/{first_process}")).unwrap()
    });
    assert_eq!(engine.logs(&victim), "before\n");
    assert_eq!(agent.wait(&other), 7);
    assert_every_line(&engine.logs(&other));
    engine.post(&format!("/containers/{victim}/start"));
    assert_eq!(agent.inspect(&victim)["State"]["Status"], "running");
    engine.agent.assert_nothing_left();
}

#[test]
fn a_monitor_that_does_not_answer_keeps_its_container() {
    let engine = Engine::start();
    let agent = &engine.agent;
    let id = engine.shell("sleep 1000", &json!({}));
    let pid = pid_of(agent, &id);
    let monitor = parent(pid).unwrap();
    send("STOP", monitor);
    kill_serve(agent);
    let state = &agent.inspect(&id)["State"];
    assert_ne!(state["Error"], "", "{state}");
    let refused = agent
        .api()
        .post(&format!("/containers/{id}/start"), &Value::Null);
    assert_eq!(refused.status, 409);
    assert_eq!(parent(pid), Some(monitor), "the container runs on");
    send("CONT", monitor);
    kill_serve(agent);
    assert_eq!(pid_of(agent, &id), pid);
    engine.agent.assert_nothing_left();
}

#[test]
fn killing_the_keeper_leaves_containers_that_the_next_engine_finds() {
    let mut engine = Engine::start();
    let writes = engine.shell(&writer(), &json!({}));
    let sleeps = engine.shell("sleep 1000", &json!({}));
    let pid = pid_of(&engine.agent, &sleeps);
    send("KILL", engine.agent.pid());
    sleep(Duration::from_millis(500));
    engine.agent.start_again();
    assert_eq!(pid_of(&engine.agent, &sleeps), pid);
    assert_eq!(engine.agent.wait(&writes), 7);
    assert_every_line(&engine.logs(&writes));
    engine.agent.assert_nothing_left();
}

#[test]
fn containers_go_on_while_the_engine_is_stopped_in_order() {
    let mut engine = Engine::start();
    let writes = engine.shell(&writer(), &json!({}));
    let ends = engine.shell("sleep 1; exit 4", &json!({}));
    let sleeps = engine.shell("sleep 1000", &json!({}));
    let pid = pid_of(&engine.agent, &sleeps);
    engine.agent.stop();
    sleep(Duration::from_secs(2));
    assert!(
        fs::exists(format!("/proc/{pid}")).unwrap(),
        "it runs without an engine"
    );
    engine.agent.start_again();
    assert_eq!(engine.agent.wait(&ends), 4);
    assert_eq!(engine.agent.wait(&writes), 7);
    assert_every_line(&engine.logs(&writes));
    let (code, _) = engine.exec(&sleeps, &["true"]);
    assert_eq!(code, 0);
    engine
        .agent
        .api()
        .post(&format!("/containers/{sleeps}/stop?t=1"), &Value::Null)
        .ok();
    engine.agent.assert_nothing_left();
}
