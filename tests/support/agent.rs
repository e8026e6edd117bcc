//! One private engine: started, talked to, stopped, and everything of it cleared away.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::{Client, Response};
use super::programs::{Ran, peer, program, run, run_with_input, short_folder};
use super::{Image, Network, leftovers, unique};

/// A running `proa-agent serve` with a root, a run folder and a socket of its own.
pub struct Agent {
    child: Child,
    folder: PathBuf,
    run: PathBuf,
    arguments: Vec<String>,
    /// The words that put it into a network of its own.
    prefix: Vec<String>,
}

impl Agent {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// `arguments` follow those that make it private.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_behind(Vec::new(), arguments)
    }

    /// On the host of a network of the test's own, where it may make bridges and rules.
    pub fn start_in(network: &Network) -> Self {
        Self::start_behind(network.prefix(), &[])
    }

    /// Started by the words of `prefix`: in another environment, with descriptors.
    pub fn start_behind(prefix: Vec<String>, arguments: &[&str]) -> Self {
        let folder = short_folder(Path::new("/var/tmp"), "proa-test-");
        // A container's socket lies 80 characters deeper, and an address holds 107.
        let run = short_folder(in_memory(), "pt-");
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        let child = serve(&prefix, &folder, &run, &arguments);
        let agent = Self {
            child,
            folder,
            run,
            arguments,
            prefix,
        };
        agent.wait_until_up();
        agent
    }

    /// Returns when the engine answers.
    pub fn wait_until_up(&self) {
        let up = || {
            self.api()
                .try_send("GET", "/_ping", &[], b"")
                .is_ok_and(|response| response.status == 200)
        };
        let started = Instant::now();
        while !up() {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "the engine does not answer:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops the engine as an orderly stop does; containers go on.
    pub fn stop(&mut self) {
        let _ = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        let started = Instant::now();
        while self
            .child
            .try_wait()
            .expect("a child can be waited for")
            .is_none()
        {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "the engine does not stop:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A new engine over the same folders, after [`Self::stop`] or a crash.
    pub fn start_again(&mut self) {
        let _ = self.child.wait();
        self.child = serve(&self.prefix, &self.folder, &self.run, &self.arguments);
        self.wait_until_up();
    }

    /// The keeper: the engine's main process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn socket(&self) -> PathBuf {
        self.run.join("proa.sock")
    }

    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    pub fn run_folder(&self) -> &Path {
        &self.run
    }

    /// Scratch space that goes away with the engine.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let path = self.folder.join("scratch").join(name);
        fs::create_dir_all(&path).expect("the folder is ours");
        path
    }

    /// What the engine logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A client with a connection of its own.
    pub fn api(&self) -> Client {
        Client::unix(&self.socket())
    }

    /// Docker's own command line against this engine.
    pub fn docker_command(&self, arguments: &[&str]) -> Command {
        let mut command = peer("docker");
        command
            .args(arguments)
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER_CONFIG", self.scratch("docker"))
            .env_remove("DOCKER_CONTEXT");
        command
    }

    pub fn docker(&self, arguments: &[&str]) -> Ran {
        run(&mut self.docker_command(arguments))
    }

    pub fn docker_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        run_with_input(&mut self.docker_command(arguments), input)
    }

    /// Our own command line against this engine.
    pub fn proa_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("proa"));
        command
            .args(arguments)
            .env("PROA_HOST", format!("unix://{}", self.socket().display()))
            .env("DOCKER_CONFIG", self.scratch("docker"))
            .env_remove("DOCKER_HOST");
        command
    }

    pub fn proa(&self, arguments: &[&str]) -> Ran {
        run(&mut self.proa_command(arguments))
    }

    pub fn proa_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        run_with_input(&mut self.proa_command(arguments), input)
    }

    /// Loads an image under a name of its own, and returns the name.
    #[track_caller]
    pub fn load(&self, image: &Image) -> String {
        let name = format!("localhost/t-{}:latest", unique());
        self.load_archive(&image.archive(&name));
        name
    }

    #[track_caller]
    pub fn load_archive(&self, archive: &[u8]) -> Response {
        let answer = self
            .api()
            .send(
                "POST",
                "/images/load?quiet=1",
                &[("Content-Type", "application/x-tar")],
                archive,
            )
            .ok();
        let failed = answer
            .lines()
            .into_iter()
            .find(|line| !line["error"].is_null());
        assert!(failed.is_none(), "load: {failed:?}");
        answer
    }

    /// Creates and starts a container of `image` without a network; the answer is its id.
    #[track_caller]
    pub fn start_container(&self, image: &str, command: &[&str]) -> String {
        let body =
            json!({ "Image": image, "Cmd": command, "HostConfig": { "NetworkMode": "none" } });
        let id = self.create(&body);
        self.api()
            .post(&format!("/containers/{id}/start"), &Value::Null)
            .ok();
        id
    }

    /// Creates a container as the document says; the answer is its id.
    #[track_caller]
    pub fn create(&self, body: &Value) -> String {
        let created = self.api().post("/containers/create", body).ok().json();
        created["Id"]
            .as_str()
            .expect("a created container has an id")
            .to_owned()
    }

    /// Waits for a container's end; the answer is its exit code.
    #[track_caller]
    pub fn wait(&self, id: &str) -> i64 {
        let waited = self
            .api()
            .post(&format!("/containers/{id}/wait"), &Value::Null)
            .ok()
            .json();
        waited["StatusCode"].as_i64().expect("a wait has a status")
    }

    #[track_caller]
    pub fn inspect(&self, id: &str) -> Value {
        self.api()
            .get(&format!("/containers/{id}/json"))
            .ok()
            .json()
    }

    /// Ids of all containers the engine has folders for, running or not.
    fn ids(&self) -> Vec<String> {
        let places = [self.root().join("containers"), self.run.join("containers")];
        let entries = places
            .iter()
            .filter_map(|place| fs::read_dir(place).ok())
            .flatten()
            .flatten();
        let mut ids: Vec<_> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Removes every container, stops the engine, and fails if anything of it is still on the machine.
    #[track_caller]
    pub fn assert_nothing_left(mut self) {
        let ids = self.ids();
        for id in &ids {
            self.api().delete(&format!("/containers/{id}?force=1&v=1"));
        }
        self.stop();
        let folders = [self.folder.as_path(), self.run.as_path()];
        let still_there = || {
            let mut left = leftovers::find(&folders, &ids);
            left.extend(
                self.ids()
                    .iter()
                    .map(|id| format!("files of container {id}")),
            );
            left
        };
        // A monitor unmounts after it has told its container's end.
        let started = Instant::now();
        let mut left = still_there();
        while !left.is_empty() && started.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
            left = still_there();
        }
        assert!(
            left.is_empty(),
            "left behind:\n  {}\n{}",
            left.join("\n  "),
            self.log()
        );
    }
}

/// What lasts until the next boot lies in memory on every system but bare ones, whose `/run` is a folder on disk.
pub fn in_memory() -> &'static Path {
    let run = Path::new("/run");
    match rustix::fs::statfs(run) {
        Ok(found) if found.f_type == TMPFS => run,
        _ => Path::new("/dev/shm"),
    }
}

/// `TMPFS_MAGIC`, statfs(2).
const TMPFS: i64 = 0x0102_1994;

fn serve(prefix: &[String], folder: &Path, run: &Path, arguments: &[String]) -> Child {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .expect("the folder is ours");
    let agent = program("proa-agent");
    let mut command = match prefix {
        [] => Command::new(agent),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(agent);
            command
        }
    };
    command
        .arg("serve")
        .arg("--root")
        .arg(folder.join("root"))
        .arg("--run")
        .arg(run)
        .arg("--socket")
        .arg(format!("unix://{}/proa.sock", run.display()))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        .spawn()
        .expect("proa-agent starts")
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the engine's log\n{}", self.log());
        }
        let ids = self.ids();
        let _ = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .stderr(Stdio::null())
            .status();
        let started = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none())
            && started.elapsed() < Duration::from_secs(10)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        leftovers::clear(&[&self.folder, &self.run], &ids);
    }
}

/// Asks again until `holds`; fails with `what` after `patience`.
#[track_caller]
pub fn poll(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(
            started.elapsed() < patience,
            "not within {patience:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
