//! The engine as a service of a system that systemd runs: installed, stopped, woken by its socket, taken away.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Ran, poll, program, run, short_folder};

/// A running systemd with a cgroup of its own; both are gone when dropped.
struct System {
    unshare: Child,
    /// Its systemd, as the machine knows it.
    first: u32,
    folder: PathBuf,
    cgroup: PathBuf,
}

impl System {
    fn boot() -> Self {
        let folder = short_folder(Path::new("/var/tmp"), "proa-systemd-");
        let cgroup = version_2().join(folder.file_name().expect("it has a name"));
        fs::create_dir(&cgroup).expect("a cgroup can be made");
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/support/boot-systemd.sh"
        );
        let enter = "echo $$ > \"$0/cgroup.procs\" && exec unshare --mount --pid --fork --net --uts --ipc --cgroup sh \"$@\"";
        let log = fs::File::create(folder.with_extension("log")).expect("the folder is there");
        let unshare = Command::new("sh")
            .args(["-c", enter])
            .args([cgroup.as_path(), Path::new(script), &folder])
            .args([program("proa-agent"), program("proa")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("sh starts");
        let mut system = Self {
            first: 0,
            unshare,
            folder,
            cgroup,
        };
        poll(Duration::from_secs(120), "systemd answers", || {
            system.first = child_of(system.unshare.id());
            system.first > 0 && system.try_run(&["systemctl", "show-environment"]).code == 0
        });
        system
    }

    fn try_run(&self, words: &[&str]) -> Ran {
        let target = self.first.to_string();
        let mut command = Command::new("nsenter");
        command.args([
            "-t", &target, "-m", "-p", "-n", "-u", "-i", "-C", "-r", "-w",
        ]);
        run(command.args(["env", "-i", PATH]).args(words))
    }

    #[track_caller]
    fn run(&self, line: &str) -> String {
        let words: Vec<_> = line.split(' ').collect();
        self.try_run(&words).ok()
    }

    /// The names of the containers that run, as the engine tells.
    #[track_caller]
    fn containers(&self) -> String {
        let listed = self.run("proa ps --format {{.Names}}");
        let mut names: Vec<_> = listed.lines().collect();
        names.sort_unstable();
        names.join(" ")
    }

    fn is_active(&self, unit: &str) -> bool {
        self.try_run(&["systemctl", "is-active", unit]).code == 0
    }
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Drop for System {
    fn drop(&mut self) {
        // Everything in a process namespace ends with its first process.
        let _ = run(Command::new("kill").args(["-KILL", &self.first.to_string()]));
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let empty = format!(
            "find {} -depth -type d -exec rmdir {{}} +",
            self.cgroup.display()
        );
        poll(Duration::from_secs(60), "the cgroups are empty", || {
            run(Command::new("sh").args(["-c", &empty]));
            !self.cgroup.exists()
        });
        let _ = fs::remove_file(self.folder.with_extension("log"));
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Where version 2 of cgroups is mounted.
fn version_2() -> &'static Path {
    let unified = Path::new("/sys/fs/cgroup/unified");
    if unified.join("cgroup.procs").exists() {
        unified
    } else {
        Path::new("/sys/fs/cgroup")
    }
}

/// The one child of a process; 0 if there is none yet.
fn child_of(parent: u32) -> u32 {
    let listed = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let listed = listed.unwrap_or_default();
    listed
        .split_whitespace()
        .next()
        .and_then(|pid| pid.parse().ok())
        .unwrap_or(0)
}

#[test]
fn the_units_are_what_systemd_takes() {
    let folder = short_folder(&std::env::temp_dir(), "proa-units-");
    let mut install = Command::new(program("proa-agent"));
    let printed = run(install.args(["install", "--print"])).ok();
    let (service, socket) = printed.split_once("# proa.socket\n").expect("two units");
    let files = [("proa.service", service), ("proa.socket", socket)];
    let files = files.map(|(name, text)| {
        let file = folder.join(name);
        fs::write(&file, text).expect("the folder is ours");
        file
    });
    let verified = run(Command::new("systemd-analyze").arg("verify").args(&files));
    // A word that only newer ones know, and is meant for them.
    let said = verified
        .err
        .lines()
        .filter(|line| !line.contains("DelegateSubgroup"));
    assert_eq!(said.collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!(verified.code, 0);
    fs::remove_dir_all(&folder).expect("the folder is ours");
}

#[test]
fn containers_outlive_the_service_and_nothing_outlives_its_end() {
    let system = System::boot();
    let said = system.run("proa-agent install");
    assert!(said.contains("listens at /run/proa/proa.sock"), "{said}");
    system.run("proa run -d --name alone --network none proa/hello sleep 100000");
    system.run("proa run -d --name web -p 8080:80 proa/hello sleep 100000");
    assert_eq!(system.containers(), "alone web");

    system.run("systemctl stop proa.socket proa.service");
    assert!(!system.is_active("proa.service"));
    system.run("systemctl start proa.socket");
    assert!(!system.is_active("proa.service"));
    assert_eq!(
        system.containers(),
        "alone web",
        "the first client wakes the engine"
    );
    assert!(system.is_active("proa.service"));

    let links = |system: &System| system.run("ip -o link").lines().count();
    assert!(links(&system) > 1);
    let told = system.run("proa-agent uninstall --yes");
    assert!(told.contains("Nothing is left."), "{told}");
    assert_eq!(links(&system), 1, "loopback");
    assert_eq!(system.run("nft list tables"), "");
    let processes = system.run("ps -eo args");
    assert!(
        !processes.contains("sleep 100000") && !processes.contains("proa-agent serve"),
        "{processes}"
    );
    let left = system.run("find /etc/systemd /run /var/lib/proa /sys/fs/cgroup -name *proa*");
    assert_eq!(left, "/var/lib/proa\n", "a disk is mounted there");
}
