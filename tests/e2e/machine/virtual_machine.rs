//! The same with a real virtual machine: QEMU, the image that `scripts/dev image` made, whatever accelerator works.
//!
//! One test, because a machine takes long to boot where the processor is only translated.

use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::kit::{User, free_port, until};
use crate::ports::{PAGE, fetch};
use crate::streams::{noise, sum};
use crate::support::short_folder;

#[test]
fn a_machine_runs_containers_shares_folders_and_keeps_its_disk() {
    let shared = short_folder(Path::new("/var/tmp"), "pv-é ,");
    let user = User::with_virtual_machine(&shared);
    containers_run(&user);
    folders_are_shared(&user, &shared);
    ports_are_published(&user);
    streams_lose_nothing(&user);
    the_disk_outlives_the_machine(&user);
    a_machine_that_dies_is_started_again(&user);
    nothing_outlives_a_killed_supervisor(&user);
    user.proa(&["machine", "stop"]).ok();
    assert_eq!(user.state(), "stopped");
    std::fs::remove_dir_all(shared).expect("it is ours");
}

fn containers_run(user: &User) {
    let said = user.docker(&["run", "--rm", &user.image, "uname", "-s"]);
    assert_eq!(said.ok(), "Linux\n");
    let limited = ["run", "--rm", "-m", "64m", &user.image, "cat"];
    let limit = [&limited[..], &["/sys/fs/cgroup/memory.max"]].concat();
    assert_eq!(user.docker(&limit).ok(), "67108864\n");
}

fn folders_are_shared(user: &User, shared: &Path) {
    std::fs::write(shared.join("in"), "from the host\n").expect("it is ours");
    let mount = format!("{}:/data", shared.display());
    let script = "cat /data/in; echo from inside > /data/out";
    let said = user.docker(&["run", "--rm", "-v", &mount, &user.image, "sh", "-c", script]);
    assert_eq!(said.ok(), "from the host\n");
    let out = std::fs::read_to_string(shared.join("out")).expect("the container wrote it");
    assert_eq!(out, "from inside\n");
}

fn ports_are_published(user: &User) {
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:80");
    let web = user.detached(&["-p", &publish], &["sh", "-c", PAGE]);
    let address = format!("127.0.0.1:{port}");
    until("the page is there", || {
        fetch(&address).is_ok_and(|answer| answer.contains("hello from inside"))
    });
    user.docker(&["rm", "-f", &web]).ok();
    until("the port is closed", || {
        TcpStream::connect(&address).is_err()
    });
}

fn streams_lose_nothing(user: &User) {
    let bytes = noise(20_000_000);
    let expected = sum(&bytes);
    let mut child = user
        .docker_command(&["run", "--rm", "-i", &user.image, "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &bytes));
    let output = child.wait_with_output().expect("a child can be waited for");
    writer.join().expect("no panic").expect("all was taken");
    assert_eq!(sum(&output.stdout), expected);
}

fn the_disk_outlives_the_machine(user: &User) {
    let write = ["run", "--rm", "-v", "kept:/v", &user.image, "sh", "-c"];
    user.docker(&[&write[..], &["echo still here > /v/file"]].concat())
        .ok();
    user.proa(&["machine", "stop"]).ok();
    user.proa(&["machine", "start"]).ok();
    reads_what_was_kept(user);
}

fn reads_what_was_kept(user: &User) {
    let read = [
        "run",
        "--rm",
        "-v",
        "kept:/v",
        &user.image,
        "cat",
        "/v/file",
    ];
    assert_eq!(user.docker(&read).ok(), "still here\n");
}

fn hypervisor(user: &User) -> Option<u64> {
    let status = user.status();
    let processes = status["processes"].as_array()?.clone();
    let found = processes
        .iter()
        .find(|process| process["role"] == "hypervisor")?;
    found["pid"].as_u64()
}

fn kill(pid: u64) {
    let pid = Pid::from_raw(pid as i32).expect("a process");
    kill_process(pid, Signal::KILL).expect("it runs");
}

fn a_machine_that_dies_is_started_again(user: &User) {
    let first = hypervisor(user).expect("it runs");
    kill(first);
    until("another one runs", || {
        hypervisor(user).is_some_and(|pid| pid != first)
    });
    reads_what_was_kept(user);
}

fn nothing_outlives_a_killed_supervisor(user: &User) {
    let machine = hypervisor(user).expect("it runs");
    kill(u64::from(user.supervisor()));
    let gone = format!("/proc/{machine}/exe");
    until("the machine is gone with it", || {
        std::fs::read_link(&gone).is_err()
    });
    user.proa(&["machine", "start"]).ok();
    reads_what_was_kept(user);
}
