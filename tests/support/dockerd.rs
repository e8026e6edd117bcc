//! The peer: Debian's dockerd with folders and a socket of its own, without a bridge and without firewall rules unless
//! it is given a network of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::http::Client;
use super::network::Network;
use super::programs::{in_path, short_folder};
use super::{leftovers, poll};

/// A running dockerd with the containerd it starts; both are stopped, and their folders deleted, when dropped.
pub struct Dockerd {
    child: Child,
    folder: PathBuf,
    run: PathBuf,
}

impl Dockerd {
    pub fn start() -> Self {
        Self::start_behind(
            Vec::new(),
            &[
                "--bridge",
                "none",
                "--iptables=false",
                "--ip6tables=false",
                "--userland-proxy=false",
            ],
        )
    }

    /// With its own bridge and rules, on the host of a network of the test's own.
    pub fn start_in(network: &Network) -> Self {
        Self::start_behind(network.prefix(), &[])
    }

    fn start_behind(before: Vec<String>, flags: &[&str]) -> Self {
        let folder = short_folder(Path::new("/var/tmp"), "proa-peer-");
        let run = short_folder(Path::new("/run"), "pp-");
        let log = fs::File::create(folder.join("log")).expect("the folder is new");
        let mut command = behind(before, inside_peers("dockerd"));
        // The peers' root sees the machine's own at /host.
        let data = if in_path("dockerd").is_some() {
            folder.clone()
        } else {
            inside(&folder)
        };
        command
            .arg("--data-root")
            .arg(data.join("data"))
            .arg("--exec-root")
            .arg(run.join("exec"))
            .arg("--pidfile")
            .arg(run.join("pid"))
            .arg("--host")
            .arg(format!("unix://{}/docker.sock", run.display()))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        let child = command.spawn().expect("dockerd starts");
        let peer = Self { child, folder, run };
        poll(Duration::from_secs(60), "dockerd answers", || {
            peer.api()
                .try_send("GET", "/_ping", &[], b"")
                .is_ok_and(|answer| answer.status == 200)
        });
        peer
    }

    pub fn socket(&self) -> PathBuf {
        self.run.join("docker.sock")
    }

    pub fn api(&self) -> Client {
        Client::unix(&self.socket())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// dockerd, its containerd and their shims.
    pub fn processes(&self) -> Vec<u32> {
        leftovers::processes(&[&self.folder, &self.run], &[])
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(20).collect();
            eprintln!(
                "--- dockerd's last words\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
        let mut api = self.api();
        if let Ok(listed) = api.try_send("GET", "/containers/json?all=1", &[], b"") {
            for container in listed.json().as_array().into_iter().flatten() {
                let id = container["Id"].as_str().unwrap_or_default();
                let _ = api.try_send("DELETE", &format!("/containers/{id}?force=1&v=1"), &[], b"");
            }
        }
        let _ = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        for _ in 0..1000 {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        leftovers::clear(&[&self.folder, &self.run], &[]);
    }
}

/// A command started by another.
pub fn behind(before: Vec<String>, command: Command) -> Command {
    let Some((first, rest)) = before.split_first() else {
        return command;
    };
    let mut outer = Command::new(first);
    outer
        .args(rest)
        .arg(command.get_program())
        .args(command.get_args());
    outer
}

/// A command of the peers, in the mount namespace where their root is `/`, if it is not on the machine's own PATH.
pub fn inside_peers(name: &str) -> Command {
    if let Some(path) = in_path(name) {
        return Command::new(path);
    }
    let mut prefix = prefix();
    let mut command = Command::new(prefix.remove(0));
    command.args(prefix).arg(name);
    command
}

/// `PEERS`, or this repository's own script.
fn prefix() -> Vec<String> {
    if let Ok(words) = std::env::var("PEERS") {
        return words.split_whitespace().map(str::to_owned).collect();
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("two folders up is the top level");
    vec![
        top.join("scripts/peers.sh").display().to_string(),
        "enter".to_owned(),
    ]
}

/// The path of a file of the machine as the peers see it.
pub fn inside(path: &Path) -> PathBuf {
    Path::new("/host").join(path.strip_prefix("/").unwrap_or(path))
}
