//! The keeper: deaths, restarts, stops.

use std::io::Write;
use std::time::Instant;

use proa_runtime::client::{ConnectError, Message, Monitor, Notice, Request, Stdin, Target, exit};

use crate::Test;
use crate::ground::{Ground, PATIENCE, eventually, exec, status};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_killed_monitor_is_told_and_takes_its_container_along",
        a_killed_monitor_is_told_and_takes_its_container_along,
    ),
    (
        "a_client_that_comes_back_finds_everything",
        a_client_that_comes_back_finds_everything,
    ),
    (
        "what_ended_meanwhile_is_on_record",
        what_ended_meanwhile_is_on_record,
    ),
    (
        "nothing_is_left_of_many_containers",
        nothing_is_left_of_many_containers,
    ),
];

/// Waits for the keeper's word of a monitor's end: whether it was in order.
fn monitor_ended(ground: &Ground, monitor: u32) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ground.keeper.receive().unwrap() {
            Some(Notice::MonitorEnded {
                monitor: ended,
                recorded,
                ..
            }) if ended == monitor => return recorded,
            Some(_) => {}
            None => {
                assert!(Instant::now() < deadline, "no word of the monitor's end");
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
}

fn sleeper(ground: &Ground, id: &str) -> crate::ground::Running {
    ground.start(&ground.launch(id, &["/bin/sleep", "1000"]))
}

fn a_killed_monitor_is_told_and_takes_its_container_along() {
    let ground = Ground::new();
    let running = sleeper(&ground, "c");
    let other = sleeper(&ground, "d");
    kill(running.started.monitor, 9);
    assert!(!monitor_ended(&ground, running.started.monitor));
    eventually("the container dies", || {
        status(running.started.pid, "State").is_none()
    });
    assert!(
        status(other.started.pid, "State").is_some(),
        "the other container goes on"
    );
    assert!(matches!(
        Monitor::connect(&ground.run_dir("c")),
        Err(ConnectError::Gone(_))
    ));
    assert_eq!(exit(&ground.run_dir("c")).unwrap(), None);
    kill(other.started.pid, 9);
    assert!(monitor_ended(&ground, other.started.monitor));
}

fn a_client_that_comes_back_finds_everything() {
    let ground = Ground::new();
    let mut running = sleeper(&ground, "c");
    running.exec(&exec("e", "exec sleep 1000")).unwrap();
    let started = running.started;
    drop(running);
    let (monitor, hello) = Monitor::connect(&ground.run_dir("c")).unwrap();
    assert_eq!(hello.started, started);
    assert_eq!(hello.exit, None);
    assert_eq!(hello.execs.len(), 1);
    assert_eq!(hello.execs[0].id, "e");
    kill(hello.execs[0].pid, 15);
    let message = monitor.wait(Instant::now() + PATIENCE).unwrap().message;
    assert!(
        matches!(message, Message::Event(proa_runtime::client::Event::ExecExited { exit, .. }) if exit.code == 143)
    );
    monitor
        .send(
            &Request::Signal {
                target: Target::Init,
                signal: 9,
            },
            &[],
        )
        .unwrap();
    assert!(monitor_ended(&ground, started.monitor));
}

fn what_ended_meanwhile_is_on_record() {
    let ground = Ground::new();
    let mut launch = ground.script("c", "read line; echo last words; exit 7");
    launch.stdin = Stdin::Open;
    let mut running = ground.start(&launch);
    running.exec(&exec("e", "exit 5")).unwrap();
    let monitor = running.started.monitor;
    let stdin = running.stdin.take();
    drop(running);
    eventually("the exec is recorded", || {
        let records = proa_runtime::client::exec_exits(&ground.run_dir("c")).unwrap();
        records.len() == 1 && records[0].1.code == 5
    });
    crate::ground::blocking(stdin.unwrap())
        .write_all(b"\n")
        .unwrap();
    assert!(monitor_ended(&ground, monitor));
    assert!(matches!(
        Monitor::connect(&ground.run_dir("c")),
        Err(ConnectError::Gone(_))
    ));
    assert_eq!(exit(&ground.run_dir("c")).unwrap().unwrap().code, 7);
    assert_eq!(ground.logged("c"), "last words\n");
}

fn nothing_is_left_of_many_containers() {
    let ground = Ground::new();
    for round in 0..10 {
        let mut all: Vec<_> = (0..10)
            .map(|i| {
                ground.start(&ground.script(
                    &format!("c{i}"),
                    &format!("sleep 0.01 & exit {}", round + i),
                ))
            })
            .collect();
        for (i, running) in all.iter_mut().enumerate() {
            assert_eq!(running.exit().code, round + i as i32);
        }
        let mut ended = 0;
        let deadline = Instant::now() + PATIENCE;
        while ended < all.len() && Instant::now() < deadline {
            match ground.keeper.receive().unwrap() {
                Some(Notice::MonitorEnded { recorded, .. }) => {
                    assert!(recorded);
                    ended += 1;
                }
                _ => std::thread::sleep(std::time::Duration::from_millis(2)),
            }
        }
        assert_eq!(ended, all.len());
    }
    let pid = ground.process.id();
    eventually(
        "the monitor of a container to come is left, and nothing else, alive or not",
        || {
            let children =
                std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
            children.split_ascii_whitespace().count() == 1
        },
    );
}

fn kill(pid: u32, signal: i32) {
    proa_kernel::process::signal_pid(pid as i32, signal).unwrap();
}
