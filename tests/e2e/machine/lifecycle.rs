//! Starting, stopping, sleeping, and dying.

use rustix::process::{Pid, Signal, kill_process};

use crate::kit::{User, until};

#[test]
fn docker_works_from_the_start_of_the_machine_to_its_stop() {
    let user = User::new();
    assert_eq!(user.state(), "stopped");
    let told = user.proa(&["machine", "start"]).ok();
    assert!(told.contains("docker.sock"), "{told}");
    assert_eq!(user.state(), "running");
    let said = user
        .docker(&["run", "--rm", &user.image, "echo", "hi"])
        .ok();
    assert_eq!(said, "hi\n");
    user.proa(&["machine", "start"]).ok();
    user.proa(&["machine", "stop"]).ok();
    assert_eq!(user.state(), "stopped");
    assert!(!user.docker_socket().exists());
    user.proa(&["machine", "stop"]).ok();
}

#[test]
fn proa_finds_the_engine_of_the_machine() {
    let user = User::started();
    let address = format!("unix://{}", user.docker_socket().display());
    let said = user
        .proa(&["-H", &address, "run", "--rm", &user.image, "echo", "hi"])
        .ok();
    assert_eq!(said, "hi\n");
}

#[test]
fn two_that_start_at_once_share_one_supervisor() {
    let user = User::new();
    let mut starting: Vec<_> = (0..3)
        .map(|_| {
            user.proa_command(&["machine", "start"])
                .spawn()
                .expect("proa starts")
        })
        .collect();
    for one in &mut starting {
        assert!(one.wait().expect("it is a child").success());
    }
    let supervisor = user.supervisor();
    user.proa(&["machine", "start"]).ok();
    assert_eq!(user.supervisor(), supervisor);
}

#[test]
fn a_supervisor_that_was_killed_is_replaced_by_the_next_start() {
    let user = User::started();
    let container = user.detached(&[], &["sleep", "1000"]);
    let first = user.supervisor();
    let pid = Pid::from_raw(first as i32).expect("a process");
    kill_process(pid, Signal::KILL).expect("it runs");
    until("the supervisor is gone", || user.state() == "stopped");
    // What it left behind, lock and sockets, is in nobody's way.
    user.proa(&["machine", "start"]).ok();
    assert_ne!(user.supervisor(), first);
    let running = user.docker(&["inspect", "-f", "{{.State.Running}}", &container]);
    assert_eq!(running.ok(), "true\n");
    user.docker(&["rm", "-f", &container]).ok();
}

#[test]
fn a_terminated_supervisor_stops_the_machine_in_order() {
    let user = User::started();
    let pid = Pid::from_raw(user.supervisor() as i32).expect("a process");
    kill_process(pid, Signal::TERM).expect("it runs");
    until("the socket is gone", || !user.docker_socket().exists());
    user.proa(&["machine", "start"]).ok();
}

#[test]
fn an_idle_machine_sleeps_and_the_first_command_wakes_it() {
    let user = User::new().with("PROA_IDLE_SECONDS", "1");
    user.proa(&["machine", "start"]).ok();
    user.api().get("/version").ok();
    user.api().get("/containers/json").ok();
    until("it sleeps", || user.state() == "asleep");
    // Polls are answered from what is known.
    user.api().get("/version").ok();
    user.api().get("/v1.51/containers/json").ok();
    assert_eq!(user.state(), "asleep");
    let container = user.detached(&[], &["sleep", "1000"]);
    assert_eq!(user.state(), "running");
    // A container that runs keeps it awake.
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(user.state(), "running");
    user.docker(&["rm", "-f", &container]).ok();
    until("it sleeps again", || user.state() == "asleep");
}

#[test]
fn an_engine_that_does_not_answer_is_told_in_words() {
    let mut user = User::started();
    user.agent().stop();
    let refused = user.docker(&["ps"]).failed(1);
    assert!(refused.contains("the machine does not answer"), "{refused}");
    user.agent().start_again();
    user.docker(&["ps"]).ok();
}
