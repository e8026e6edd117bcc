//! The real Podman with `proa-agent oci` as its runtime: in the foreground, detached, with a terminal, in a pod.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Image, Ran, in_path, inside, inside_peers, program, run, short_folder};

/// A Podman with folders of its own; everything it made is gone when dropped.
struct Podman {
    folder: PathBuf,
}

impl Podman {
    fn with_our_runtime() -> Self {
        let folder = short_folder(Path::new("/var/tmp"), "proa-podman-");
        // The program is the runtime by its name.
        let runtime = folder.join("proa-oci");
        let agent = program("proa-agent");
        if fs::hard_link(&agent, &runtime).is_err() {
            fs::copy(&agent, &runtime).expect("the folder is new");
        }
        let podman = Self { folder };
        podman.load("one", &Image::busybox());
        podman.load(
            "pause",
            &Image::busybox().entrypoint(&["/bin/sleep"]).cmd(&["1000"]),
        );
        podman
    }

    /// A path as Podman sees it: the peers' root sees the machine's own at /host.
    fn seen(&self, name: &str) -> String {
        let path = self.folder.join(name);
        let path = if in_path("podman").is_some() {
            path
        } else {
            inside(&path)
        };
        path.display().to_string()
    }

    fn load(&self, name: &str, image: &Image) {
        let file = self.folder.join(name);
        fs::write(&file, image.archive(&format!("localhost/{name}:1"))).expect("the folder is new");
        self.run(&["load", "-i", &self.seen(name)]).ok();
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = inside_peers("podman");
        command
            .env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1")
            .args(["--root", &self.seen("root"), "--runroot", &self.seen("run")])
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"])
            .args(["--runtime", &self.seen("proa-oci")])
            .args(arguments);
        run(&mut command)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.run(&["pod", "rm", "-f", "-t", "0", "-a"]);
        let _ = self.run(&["rm", "-f", "-t", "0", "-a"]);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn podman_runs_containers_with_our_runtime() {
    let podman = Podman::with_our_runtime();
    let ended = podman.run(&[
        "run",
        "--rm",
        "--network",
        "none",
        "one:1",
        "sh",
        "-c",
        "echo out; exit 5",
    ]);
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (5, "out\n"),
        "{}",
        ended.err
    );
    podman
        .run(&["run", "--rm", "--network", "none", "one:1", "nosuch"])
        .failed(127);
    podman
        .run(&["run", "--rm", "--network", "none", "one:1", "/etc"])
        .failed(126);
    let tty = podman
        .run(&["run", "--rm", "-t", "--network", "none", "one:1", "tty"])
        .ok();
    assert_eq!(tty, "/dev/pts/0\r\n");
    let limit = "/sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max";
    let script = format!("cat {limit} 2>/dev/null; true");
    let limits = [
        "run",
        "--rm",
        "--pids-limit",
        "50",
        "--network",
        "none",
        "one:1",
        "sh",
        "-c",
        &script,
    ];
    assert_eq!(podman.run(&limits).ok(), "50\n");
    let mapped = [
        "run",
        "--rm",
        "--uidmap",
        "0:200000:1000",
        "--gidmap",
        "0:200000:1000",
        "--network",
        "none",
        "one:1",
    ];
    let mapped: Vec<&str> = mapped
        .into_iter()
        .chain(["cat", "/proc/self/uid_map"])
        .collect();
    assert!(podman.run(&mapped).ok().contains("200000"));
}

#[test]
fn podman_looks_after_a_detached_container() {
    let podman = Podman::with_our_runtime();
    podman
        .run(&[
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "one:1",
            "sh",
            "-c",
            "echo tick; sleep 1000",
        ])
        .ok();
    assert_eq!(
        podman
            .run(&["exec", "box", "sh", "-c", "id -u; exit 9"])
            .failed(9),
        ""
    );
    assert_eq!(
        podman.run(&["exec", "-t", "box", "tty"]).ok(),
        "/dev/pts/0\r\n"
    );
    assert_eq!(podman.run(&["logs", "box"]).ok(), "tick\n");
    assert!(podman.run(&["top", "box"]).ok().contains("sleep 1000"));
    podman.run(&["pause", "box"]).ok();
    assert!(podman.run(&["ps", "-a"]).ok().contains("Paused"));
    podman.run(&["unpause", "box"]).ok();
    podman.run(&["update", "--pids-limit", "60", "box"]).ok();
    podman.run(&["stop", "-t", "0", "box"]).ok();
    podman.run(&["start", "box"]).ok();
    podman.run(&["rm", "-f", "-t", "0", "box"]).ok();
}

#[test]
fn containers_of_a_pod_share_their_namespaces() {
    let podman = Podman::with_our_runtime();
    let create = [
        "pod",
        "create",
        "--name",
        "pod",
        "--network",
        "none",
        "--infra-image",
        "pause:1",
    ];
    let create: Vec<&str> = create
        .into_iter()
        .chain(["--share", "net,ipc,uts,pid"])
        .collect();
    podman.run(&create).ok();
    podman
        .run(&["run", "-d", "--pod", "pod", "one:1", "sleep", "555"])
        .ok();
    let seen = podman
        .run(&[
            "run",
            "--rm",
            "--pod",
            "pod",
            "one:1",
            "sh",
            "-c",
            "hostname; ps",
        ])
        .ok();
    assert!(
        seen.starts_with("pod\n") && seen.contains("sleep 1000") && seen.contains("sleep 555"),
        "{seen}"
    );
    podman.run(&["pod", "stop", "-t", "0", "pod"]).ok();
    podman.run(&["pod", "rm", "-f", "pod"]).ok();
}
