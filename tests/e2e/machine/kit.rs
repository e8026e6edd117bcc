//! A user with a machine of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{
    Agent, Client, Image, Network, Ran, leftovers, peer, poll, program, run, short_folder,
};

/// How long anything may take before it counts as never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Folders of their own, and an engine that stands for the machine's.
pub(crate) struct User {
    agent: Agent,
    pub(crate) image: String,
    folder: PathBuf,
    settings: Vec<(&'static str, String)>,
    /// Held until the agent in it is gone.
    _network: Network,
}

impl User {
    /// Whose machine does not run yet.
    pub(crate) fn new() -> Self {
        let network = Network::new();
        let agent = Agent::start_in(&network);
        let image = agent.load(&Image::busybox());
        let machine = format!("unix://{}", agent.socket().display());
        Self {
            agent,
            image,
            folder: short_folder(Path::new("/var/tmp"), "pm-"),
            settings: vec![("PROA_MACHINE", machine)],
            _network: network,
        }
    }

    /// The engine that stands for the machine's.
    pub(crate) fn agent(&mut self) -> &mut Agent {
        &mut self.agent
    }

    /// Whose machine runs.
    pub(crate) fn started() -> Self {
        let user = Self::new();
        user.proa(&["machine", "start"]).ok();
        user
    }

    /// Sets a variable of the environment.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    pub(crate) fn run_folder(&self) -> PathBuf {
        self.folder.join("run")
    }

    pub(crate) fn docker_socket(&self) -> PathBuf {
        self.run_folder().join("docker.sock")
    }

    pub(crate) fn proa_command(&self, words: &[&str]) -> Command {
        let mut command = self.in_environment(Command::new(program("proa")));
        command.args(words);
        command
    }

    pub(crate) fn proa(&self, words: &[&str]) -> Ran {
        run(&mut self.proa_command(words))
    }

    pub(crate) fn docker_command(&self, words: &[&str]) -> Command {
        let mut command = self.in_environment(peer("docker"));
        let address = format!("unix://{}", self.docker_socket().display());
        command.env("DOCKER_HOST", address).args(words);
        command
    }

    pub(crate) fn docker(&self, words: &[&str]) -> Ran {
        run(&mut self.docker_command(words))
    }

    /// Docker's API as the supervisor serves it.
    pub(crate) fn api(&self) -> Client {
        Client::unix(&self.docker_socket())
    }

    pub(crate) fn status(&self) -> Value {
        let told = self.proa(&["machine", "status", "--format", "json"]).ok();
        serde_json::from_str(&told).expect("the status is a document")
    }

    pub(crate) fn state(&self) -> String {
        let status = self.status();
        status["condition"]["state"]
            .as_str()
            .expect("a state is a word")
            .to_owned()
    }

    pub(crate) fn supervisor(&self) -> u32 {
        self.status()["pid"].as_u64().expect("it has a process") as u32
    }

    /// A container in the background that runs until it is told to end; its id.
    pub(crate) fn detached(&self, flags: &[&str], command: &[&str]) -> String {
        let words = [&["run", "-d"], flags, &[&self.image], command].concat();
        self.docker(&words).ok().trim().to_owned()
    }

    fn in_environment(&self, mut command: Command) -> Command {
        command
            .env("PROA_HOME", self.home())
            .env("PROA_RUN", self.run_folder())
            .env("DOCKER_CONFIG", self.folder.join("docker"))
            .env_remove("PROA_HOST")
            .env_remove("DOCKER_HOST")
            .env_remove("DOCKER_CONTEXT")
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.home().join("supervisor.log"));
            eprintln!("--- the supervisor's log\n{}", log.unwrap_or_default());
            let console = std::fs::read_to_string(self.home().join("console.log"));
            eprintln!("--- the console\n{}", console.unwrap_or_default());
        }
        let _ = self.proa_command(&["machine", "stop"]).output();
        leftovers::clear(&[&self.folder], &[]);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that nobody on this host uses at the moment.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    listener.local_addr().expect("it is bound").port()
}

/// Waits until `holds`.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    poll(PATIENCE, what, holds);
}
