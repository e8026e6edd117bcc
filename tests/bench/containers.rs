//! Starting containers: over the API beside `crun run`, and as whole commands beside the peers' commands.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stopwatch::{Stopwatch, time};
use crate::support::{
    Agent, Client, Dockerd, Image, Network, behind, in_path, inside, inside_peers, leftovers, run,
    unique,
};
use crate::table::Table;
use crate::{ROUNDS, SLOW_ROUNDS};

/// A root file system and a `config.json` on disk, as a low-level runtime takes it; deleted when dropped.
pub struct Bundle(PathBuf);

impl Bundle {
    pub fn new(command: &[&str]) -> Self {
        let folder = PathBuf::from(format!("/var/tmp/proa-bundle-{}", unique()));
        let bin = folder.join("rootfs/bin");
        std::fs::create_dir_all(&bin).expect("/var/tmp can be written");
        std::fs::copy("/bin/busybox", bin.join("busybox")).expect("busybox-static is installed");
        for name in ["true", "sleep", "sh"] {
            std::fs::hard_link(bin.join("busybox"), bin.join(name)).expect("the folder is new");
        }
        let bundle = Self(folder);
        run(inside_peers("crun").args(["spec", "--bundle", &bundle.path()])).ok();
        let config = bundle.0.join("config.json");
        let mut spec: Value =
            serde_json::from_slice(&std::fs::read(&config).expect("crun wrote it"))
                .expect("it is JSON");
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(command);
        std::fs::write(&config, spec.to_string()).expect("the folder is ours");
        bundle
    }

    /// As the peers see it.
    pub fn path(&self) -> String {
        peer_path(&self.0).display().to_string()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The path of one of the machine's files as the peers see it.
pub fn peer_path(path: &Path) -> PathBuf {
    if in_path("crun").is_some() {
        path.to_owned()
    } else {
        inside(path)
    }
}

/// Over one kept connection: create, start, wait, remove.
pub fn cycle(api: &mut Client, image: &str) -> Duration {
    let body = json!({ "Image": image, "Cmd": ["true"], "HostConfig": { "NetworkMode": "none" } });
    let started = Instant::now();
    let created = api.post("/containers/create", &body).ok().json();
    let id = created["Id"]
        .as_str()
        .expect("a created container has an id");
    api.post(&format!("/containers/{id}/start"), &Value::Null)
        .ok();
    let waited = api
        .post(&format!("/containers/{id}/wait"), &Value::Null)
        .ok()
        .json();
    api.delete(&format!("/containers/{id}")).ok();
    let took = started.elapsed();
    assert_eq!(waited["StatusCode"], 0, "{waited}");
    took
}

pub fn load(api: &mut Client, image: &Image, name: &str) {
    api.send(
        "POST",
        "/images/load?quiet=1",
        &[("Content-Type", "application/x-tar")],
        &image.archive(name),
    )
    .ok();
}

pub fn start(table: &mut Table) {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let dockerd = Dockerd::start();
    let mut docker = dockerd.api();
    load(&mut docker, &Image::busybox(), "localhost/bench:1");
    let bundle = Bundle::new(&["true"]);
    let (path, mut peers, mut ours) = (bundle.path(), Stopwatch::among_peers(), agent.api());
    // In memory, as ours and as on any machine where it was installed.
    let folder = Path::new("/dev/shm").join(format!("crun-{}", unique()));
    let state = peer_path(&folder).display().to_string();
    let crun = || {
        peers.time(&[
            "crun",
            "--root",
            &state,
            "run",
            "--bundle",
            &path,
            &format!("bench-{}", unique()),
        ])
    };
    table.measure(
        "create + start + wait + remove over the API",
        ROUNDS,
        vec![
            ("proa", Box::new(|| cycle(&mut ours, &image))),
            ("crun run", Box::new(crun)),
            (
                "docker",
                Box::new(|| cycle(&mut docker, "localhost/bench:1")),
            ),
        ],
    );
    let _ = std::fs::remove_dir_all(&folder);
    table.promise("crun run", 0.45);
}

pub fn run_whole(table: &mut Table) {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let dockerd = Dockerd::start();
    load(&mut dockerd.api(), &Image::busybox(), "localhost/bench:1");
    let socket = format!("unix://{}", dockerd.socket().display());
    let podman = Podman::new();
    podman.load(&Image::busybox(), "localhost/bench:1");
    let (mut first, mut second) = (Stopwatch::among_peers(), Stopwatch::among_peers());
    let proa = || {
        time(
            agent
                .proa_command(&["run", "--rm", "--network", "none", &image, "true"])
                .env_remove("RUST_LOG"),
        )
    };
    let docker = || {
        first.time(&[
            "docker",
            "-H",
            &socket,
            "run",
            "--rm",
            "--network",
            "none",
            "localhost/bench:1",
            "true",
        ])
    };
    let podman = || {
        second.time(&podman.words(&[
            "run",
            "--rm",
            "--network",
            "none",
            "localhost/bench:1",
            "true",
        ]))
    };
    table.measure(
        "run --rm IMAGE true, the whole command",
        SLOW_ROUNDS * 4,
        vec![
            ("proa", Box::new(proa)),
            ("docker", Box::new(docker)),
            ("podman", Box::new(podman)),
        ],
    );
    table.promise("docker", 1.0 / 15.0);
}

/// Podman with a storage of its own.
pub struct Podman {
    folder: PathBuf,
    /// What starts it where it runs.
    before: Vec<String>,
    global: Vec<String>,
}

impl Podman {
    pub fn new() -> Self {
        Self::behind(Vec::new())
    }

    /// On the host of a network of the benchmark's own.
    pub fn new_in(network: &Network) -> Self {
        Self::behind(network.prefix())
    }

    fn behind(before: Vec<String>) -> Self {
        let folder = PathBuf::from(format!("/var/tmp/proa-podman-{}", unique()));
        std::fs::create_dir_all(&folder).expect("/var/tmp can be written");
        let place = peer_path(&folder);
        let global = [
            "podman",
            "--root",
            &place.join("root").display().to_string(),
            "--runroot",
            &place.join("run").display().to_string(),
            "--tmpdir",
            &place.join("tmp").display().to_string(),
            "--cgroup-manager",
            "cgroupfs",
            "--storage-driver",
            "overlay",
            "--events-backend",
            "none",
        ]
        .map(str::to_owned)
        .to_vec();
        Self {
            folder,
            before,
            global,
        }
    }

    /// The whole command line.
    pub fn words<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        self.global
            .iter()
            .map(String::as_str)
            .chain(words.iter().copied())
            .collect()
    }

    pub fn load(&self, image: &Image, name: &str) {
        let archive = self.folder.join("image.tar");
        std::fs::write(&archive, image.archive(name)).expect("the folder is ours");
        self.run(&[
            "load",
            "-q",
            "-i",
            &peer_path(&archive).display().to_string(),
        ]);
    }

    /// Runs it; the answer is what it writes.
    pub fn run(&self, words: &[&str]) -> String {
        run(&mut self.command(words)).ok()
    }

    fn command(&self, words: &[&str]) -> Command {
        let words = self.words(words);
        let mut program = inside_peers(words[0]);
        program.args(&words[1..]);
        behind(self.before.clone(), program)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.command(&["system", "reset", "--force"]).output();
        leftovers::clear(&[&self.folder], &[]);
    }
}
