//! The whole service: keeper from a sealed copy, `serve` started by it, again and again.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use proa_runtime::client::{Keeper, LaunchFds, Monitor, Notice, Request, Target, exit};
use proa_runtime::keeper::{self, Inherited, Role};

use crate::Test;
use crate::ground::{PATIENCE, eventually, launch_in, status};

pub(crate) const TESTS: &[Test] = &[
    (
        "serve_is_started_again_and_gets_everything_back",
        serve_is_started_again_and_gets_everything_back,
    ),
    (
        "an_orderly_stop_leaves_containers_running",
        an_orderly_stop_leaves_containers_running,
    ),
    (
        "a_killed_keeper_takes_serve_along_and_no_container",
        a_killed_keeper_takes_serve_along_and_no_container,
    ),
    (
        "a_serve_that_cannot_run_ends_the_keeper",
        a_serve_that_cannot_run_ends_the_keeper,
    ),
];

/// First argument of the program as a service; then the folder it lives in, then `fail` or nothing.
pub(crate) const SERVICE: &str = "be-service";

/// The program as a service: what a user starts, the keeper, or `serve`.
pub(crate) fn be_service() -> ExitCode {
    match keeper::role() {
        Some(Role::Keeper) => return ExitCode::from(keeper::run()),
        Some(Role::Serve) => {}
        None => {
            let listener = UnixListener::bind(dir().join("socket")).unwrap();
            let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
            panic!("{:?}", keeper::enter(vec![listener.into()], &arguments));
        }
    }
    if std::env::args().nth(3).as_deref() == Some("fail") {
        return ExitCode::from(42);
    }
    serve(Inherited::take().unwrap())
}

fn dir() -> PathBuf {
    std::env::args_os().nth(2).unwrap().into()
}

fn serve(inherited: Inherited) -> ExitCode {
    let keeper = inherited.keeper;
    let mut kept = Vec::new();
    loop {
        match keeper.receive().unwrap() {
            Some(Notice::Kept { name, .. }) => kept.push(name),
            Some(Notice::Ready) => break,
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    let listener = UnixListener::from(inherited.listeners.into_iter().next().unwrap());
    listener.set_nonblocking(true).unwrap();
    keeper.serving().unwrap();
    loop {
        if let Some(Notice::Stop) = keeper.receive().unwrap() {
            return ExitCode::SUCCESS;
        }
        match listener.accept() {
            Ok((client, _)) => answer(client, &keeper, &kept),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn answer(mut client: UnixStream, keeper: &Keeper, kept: &[String]) {
    client.set_nonblocking(false).unwrap();
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line).unwrap();
    let answer = match line.trim_end().split_once(' ') {
        Some(("keep", name)) => {
            use std::os::fd::AsFd;
            keeper.keep(name, client.as_fd()).unwrap();
            String::new()
        }
        Some(("release", name)) => keeper.release(name).map(|()| String::new()).unwrap(),
        Some(("launch", id)) => {
            let launch = launch_in(&dir(), id, &["/bin/sleep", "1000"]);
            let monitor = keeper.launch(&launch, &LaunchFds::default()).unwrap();
            let started = monitor.wait_launched(PATIENCE).unwrap().0;
            format!("{} {}", started.monitor, started.pid)
        }
        _ => format!("{} {}", std::process::id(), kept.join(",")),
    };
    writeln!(client, "{answer}").unwrap();
}

/// A running service.
struct Service {
    keeper: Child,
    dir: tempfile::TempDir,
    /// First processes of its containers, so that a test that fails leaves none.
    started: RefCell<Vec<OwnedFd>>,
}

impl Service {
    fn new(arguments: &[&str]) -> Service {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let keeper = command
            .arg(SERVICE)
            .arg(dir.path())
            .args(arguments)
            .spawn()
            .unwrap();
        Service {
            keeper,
            dir,
            started: RefCell::default(),
        }
    }

    fn ask(&self, line: &str) -> String {
        let socket = self.dir.path().join("socket");
        eventually("the service listens", || socket.exists());
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        writeln!(stream, "{line}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer.trim_end_matches('\n').to_owned()
    }

    /// Process id of `serve` and what it got back.
    fn serve(&self) -> (u32, String) {
        let answer = self.ask("who");
        let (pid, kept) = answer.split_once(' ').unwrap();
        (pid.parse().unwrap(), kept.to_owned())
    }

    /// Process ids of a new container's monitor and first process.
    fn launch(&self, id: &str) -> (u32, u32) {
        let answer = self.ask(&format!("launch {id}"));
        let (monitor, pid) = answer.split_once(' ').unwrap();
        let pid = pid.parse().unwrap();
        self.started
            .borrow_mut()
            .push(proa_kernel::process::open(pid as i32).unwrap());
        (monitor.parse().unwrap(), pid)
    }

    fn end(&mut self, signal: i32) -> Option<i32> {
        kill(self.keeper.id(), signal);
        self.keeper.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        for process in self.started.borrow().iter() {
            let _ = proa_kernel::process::signal(process, 9);
        }
    }
}

fn kill(pid: u32, signal: i32) {
    proa_kernel::process::signal_pid(pid as i32, signal).unwrap();
}

fn is_alive(pid: u32) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with('Z'))
}

/// Ends a container through its monitor, and checks that this is recorded.
fn end_container(dir: &Path, id: &str) {
    let run_dir = dir.join(id);
    let (monitor, hello) = Monitor::connect(&run_dir).unwrap();
    assert!(is_alive(hello.started.pid));
    monitor
        .send(
            &Request::Signal {
                target: Target::Init,
                signal: 9,
            },
            &[],
        )
        .unwrap();
    eventually("the end is recorded", || exit(&run_dir).unwrap().is_some());
    eventually("the monitor ends", || !is_alive(hello.started.monitor));
}

fn serve_is_started_again_and_gets_everything_back() {
    let service = Service::new(&[]);
    let keeper = service.keeper.id();
    let (first, kept) = service.serve();
    assert_eq!(kept, "");
    let exe = std::fs::read_link(format!("/proc/{keeper}/exe")).unwrap();
    assert_eq!(exe.to_str(), Some("/memfd:proa-agent (deleted)"));
    assert_eq!(status(keeper, "Threads").as_deref(), Some("1"));
    service.launch("c");
    for request in ["keep a", "keep b", "keep a", "release b"] {
        service.ask(request);
    }
    let mut before = first;
    for _ in 0..3 {
        kill(before, 9);
        let (pid, kept) = service.serve();
        assert_ne!(pid, before);
        assert_eq!(kept, "a");
        before = pid;
    }
    end_container(service.dir.path(), "c");
}

fn an_orderly_stop_leaves_containers_running() {
    let mut service = Service::new(&[]);
    let (serve, _) = service.serve();
    let (monitor, pid) = service.launch("c");
    assert_eq!(service.end(15), Some(0));
    assert!(!is_alive(serve));
    assert!(is_alive(monitor) && is_alive(pid));
    end_container(service.dir.path(), "c");
}

fn a_killed_keeper_takes_serve_along_and_no_container() {
    let mut service = Service::new(&[]);
    let (serve, _) = service.serve();
    service.launch("c");
    assert_eq!(service.end(9), None);
    eventually("serve dies", || !is_alive(serve));
    end_container(service.dir.path(), "c");
}

fn a_serve_that_cannot_run_ends_the_keeper() {
    let mut service = Service::new(&["fail"]);
    assert_eq!(service.keeper.wait().unwrap().code(), Some(42));
}
