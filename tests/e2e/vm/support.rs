//! What every machine of these tests has.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proa_vm::qemu::Qemu;
use proa_vm::{
    Accelerator, Disk, DiskFormat, Exit, Image, Machine, Network, Phase, Process, Role, Spec, State,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Longer than any of these machines takes on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(900);

/// Where `scripts/dev image` has put the boot files.
pub(crate) fn image() -> PathBuf {
    let folder = std::env::var_os("PROA_IMAGE").map_or_else(beside_the_test, PathBuf::from);
    assert!(
        folder.join("manifest.json").exists(),
        "{} holds no image: scripts/dev image",
        folder.display()
    );
    folder
}

fn beside_the_test() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let target = test
        .ancestors()
        .nth(3)
        .expect("tests lie in target/PROFILE/deps");
    target.join("vm-image").join(std::env::consts::ARCH)
}

/// A folder whose name would break a careless command line.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("m a,b=ü ")
        .tempdir()
        .expect("a folder for the machine")
}

/// An ordinary machine that lives in `folder`.
pub(crate) fn spec(folder: &Path) -> Spec {
    Spec {
        image: Image { folder: image() },
        run: folder.join("run"),
        console: folder.join("console.log"),
        cpus: 2,
        memory: 1 << 30,
        disk: Disk {
            path: folder.join("disk.raw"),
            size: 8 << 30,
            format: DiskFormat::Raw,
        },
        shares: Vec::new(),
        network: Network { ipv6: false },
        accelerator: Accelerator::Tcg,
        devices: vec![env!("CARGO_BIN_EXE_proa").into()],
        kernel_words: Vec::new(),
        ready_port: 1024,
        patience: PATIENCE,
    }
}

pub(crate) fn start(spec: Spec) -> Machine {
    Machine::start(Qemu::new(), spec)
}

/// A machine that is up; otherwise the test fails with its story.
pub(crate) async fn up(spec: Spec) -> Machine {
    let console = spec.console.clone();
    let machine = start(spec);
    if let Err(error) = machine.ready().await {
        let tail = proa_vm::console::tail(&console).join("\n");
        panic!("{error}\n{:#?}\n{tail}", story(&machine).await);
    }
    machine
}

/// Everything that happened so far to a machine that has ended.
pub(crate) async fn story(machine: &Machine) -> Vec<(Duration, Phase)> {
    let mut events = machine.events();
    let mut story = Vec::new();
    // The story of one that goes on has no end.
    while let Ok(Some(event)) =
        tokio::time::timeout(Duration::from_millis(200), events.next()).await
    {
        story.push((event.after, event.phase));
    }
    story
}

/// Waits for a phase.
pub(crate) async fn reached(machine: &Machine, wanted: impl Fn(&Phase) -> bool) -> Phase {
    let mut events = machine.events();
    let search = async {
        while let Some(event) = events.next().await {
            if wanted(&event.phase) {
                return Some(event.phase);
            }
        }
        None
    };
    let found = tokio::time::timeout(PATIENCE, search).await.ok().flatten();
    match found {
        Some(phase) => phase,
        None => panic!("it never came so far: {:#?}", story(machine).await),
    }
}

/// The answer's body to a request over a stream of its own.
pub(crate) async fn get(machine: &Machine, path: &str) -> String {
    let body = ask(machine, "GET", path, b"").await;
    String::from_utf8(body).expect("the guest answers in text")
}

/// The same for any method, with JSON or an archive as body.
pub(crate) async fn ask(machine: &Machine, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let State::Running(running) = machine.state() else {
        panic!("the machine does not run: {:?}", machine.state());
    };
    let mut stream = running.dialer.dial(1024).await.expect("the guest answers");
    let kind = if body.first() == Some(&b'{') {
        "json"
    } else {
        "x-tar"
    };
    // The older version of the protocol ends an answer with the stream, which spares taking it apart.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: machine\r\nContent-Type: application/{kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(head.as_bytes())
        .await
        .expect("the guest reads");
    stream.write_all(body).await.expect("the guest reads");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .await
        .expect("the guest answers");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end =
        end.unwrap_or_else(|| panic!("{method} {path}: {}", String::from_utf8_lossy(&answer)));
    let said = String::from_utf8_lossy(&answer);
    assert!(
        said.starts_with("HTTP/1.") && said[8..].starts_with(" 2"),
        "{method} {path}: {said}"
    );
    answer.split_off(end + 4)
}

pub(crate) fn pid_of(processes: &[Process], role: &Role) -> u32 {
    let process = processes.iter().find(|process| process.role == *role);
    process
        .unwrap_or_else(|| panic!("no {role} in {processes:?}"))
        .pid
}

pub(crate) fn processes(machine: &Machine) -> Vec<Process> {
    match machine.state() {
        State::Running(running) => running.processes,
        other => panic!("the machine does not run: {other:?}"),
    }
}

pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a process has a number");
    rustix::process::kill_process(pid, signal).expect("the process is there");
}

pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // One that nobody has waited for yet is as good as gone.
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub(crate) async fn gone(pids: &[u32]) {
    let all_gone = async {
        while pids.iter().any(|pid| is_alive(*pid)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let gone = tokio::time::timeout(PATIENCE, all_gone).await;
    assert!(gone.is_ok(), "still there: {pids:?}");
}

pub(crate) async fn ended(machine: &Machine) -> Exit {
    let exit = tokio::time::timeout(PATIENCE, machine.ended()).await;
    exit.unwrap_or_else(|_| panic!("it goes on: {:?}", machine.state()))
}
