//! Our networks beside other firewalls of one host, with the real ones: each in a namespace of the test's own, with a web
//! server in an endpoint and a client outside.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test that meets what it does not expect has failed"
)]

mod host;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use host::*;
use proa_kernel::namespace::{Namespaces, unshare};
use proa_kernel::network::NetworkNamespace;
use proa_networks::{Fabric, PortRequest, Protocol, Settings};

/// Mounts that only this test sees, and `/run` empty.
fn private_mounts() {
    unshare(Namespaces::MOUNT).unwrap();
    run("mount --make-rprivate /");
    run("mount -t tmpfs tmpfs /run");
}

/// Shows a copy of a folder in its place.
fn copied(folder: &str, copies: &Path) {
    let copy = copies.join(folder.trim_start_matches('/').replace('/', "-"));
    run(&format!("cp -a {folder} {}", copy.display()));
    run(&format!("mount --bind {} {folder}", copy.display()));
}

fn engine(allowed: bool) -> Fabric {
    Fabric::open(Settings {
        foreign_firewalls: allowed,
        prepared: 0,
        ..Settings::default()
    })
    .unwrap()
}

/// Whether an endpoint reaches the world and the world a published port.
fn passes(fabric: &Fabric, world: &NetworkNamespace) -> (bool, bool) {
    let web = network(1);
    let (one, first) = attached(fabric, &web, "one");
    let _server = serve(&inside(&one), "0.0.0.0:80");
    let published = [PortRequest {
        protocol: Protocol::Tcp,
        inside: 80,
        address: None,
        ports: (8080, 8080),
    }];
    let reserved = fabric
        .publish(std::slice::from_ref(&first), &published)
        .unwrap();
    let world_at: SocketAddr = "192.0.2.2:80".parse().unwrap();
    let host_at: SocketAddr = format!("{OUTSIDE_HOST}:8080").parse().unwrap();
    let out = ask_from(&inside(&one), world_at, "a").is_ok();
    let within = ask_from(world, host_at, "b").is_ok();
    let ports: Vec<_> = reserved.into_iter().map(|one| one.published).collect();
    fabric.unpublish(&ports).unwrap();
    fabric.detach(Some(&one), &first).unwrap();
    (out, within)
}

/// The whole story with a firewall that runs: what it drops without our rule, that the rule is put back after `reload`,
/// and that it goes with the last network. `rules` prints the firewall's own tables.
fn story(name: &str, reload: impl Fn(), rules: impl Fn() -> String) {
    let world = an_outside();
    let _world_server = serve(&world, "0.0.0.0:80");
    let before = rules();

    let forbidden = engine(false);
    forbidden.create(&network(1)).unwrap();
    assert!(
        !passes(&forbidden, &world).0,
        "{name} drops nothing of itself"
    );
    assert_eq!(rules(), before);
    let report = forbidden.foreign_firewalls().unwrap().join("\n");
    assert!(report.contains("forbidden"), "{report}");
    forbidden.remove(&network(1).id).unwrap();

    let fabric = engine(true);
    fabric.create(&network(1)).unwrap();
    assert_eq!(passes(&fabric, &world), (true, true));
    let report = fabric.foreign_firewalls().unwrap().join("\n");
    assert!(report.contains(name) && report.contains("pass"), "{report}");
    reload();
    fabric.mend().unwrap();
    let once = rules();
    fabric.mend().unwrap();
    assert_eq!(rules(), once, "the rule is there once");
    assert_eq!(passes(&fabric, &world), (true, true));
    fabric.remove(&network(1).id).unwrap();
    assert_eq!(rules(), before);
}

#[test]
fn ufw_lets_our_packets_pass() {
    in_a_host_of_its_own(|| {
        private_mounts();
        let copies = tempfile::tempdir().unwrap();
        copied("/etc/ufw", copies.path());
        copied("/etc/default", copies.path());
        run("ufw --force enable");
        story(
            "ufw",
            || drop(run("ufw reload")),
            || run("iptables -S ufw-user-forward") + &run("ip6tables -S ufw6-user-forward"),
        );
    });
}

/// dockerd with its default bridge and its rules.
struct Dockerd {
    child: Child,
    folder: PathBuf,
}

impl Dockerd {
    fn start(folder: &Path) -> Dockerd {
        let log = fs::File::create(folder.join("log")).unwrap();
        // The peers' root has the machine's own at /host.
        let inside = format!("/host{}", folder.display());
        let mut prefix = peers();
        let child = Command::new(prefix.remove(0))
            .args(prefix)
            .args(["dockerd", "--data-root", &format!("{inside}/data")])
            .args(["--exec-root", &format!("{inside}/exec")])
            .args(["--pidfile", &format!("{inside}/pid")])
            .args(["--host", &format!("unix://{inside}/docker.sock")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let dockerd = Dockerd {
            child,
            folder: folder.to_owned(),
        };
        eventually("dockerd is ready", || {
            let said = fs::read_to_string(folder.join("log")).unwrap_or_default();
            said.contains("API listen on")
        });
        dockerd
    }
}

/// What runs a program of the peers' root: `PEERS`, or this repository's own script.
fn peers() -> Vec<String> {
    match std::env::var("PEERS") {
        Ok(words) => words.split_whitespace().map(str::to_owned).collect(),
        Err(_) => vec![
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/peers.sh").to_owned(),
            "enter".to_owned(),
        ],
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "{}",
                fs::read_to_string(self.folder.join("log")).unwrap_or_default()
            );
        }
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().ok();
        self.child.wait().ok();
    }
}

#[test]
fn docker_lets_our_packets_pass() {
    in_a_host_of_its_own(|| {
        unshare(Namespaces::MOUNT).unwrap();
        run("mount --make-rprivate /");
        let folder = tempfile::Builder::new()
            .prefix("proa-beside-")
            .tempdir_in("/var/tmp")
            .unwrap();
        // A host that did not forward before is what Docker closes.
        fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        let docker = std::cell::RefCell::new(Some(Dockerd::start(folder.path())));
        story(
            "Docker",
            || {
                // Stopped, its chains wiped, started again: they are new.
                docker.borrow_mut().take();
                run("iptables -F DOCKER-USER");
                *docker.borrow_mut() = Some(Dockerd::start(folder.path()));
            },
            || run("iptables -S DOCKER-USER"),
        );
        // Docker goes on working with tables that have a rule of ours.
        let fabric = engine(true);
        fabric.create(&network(1)).unwrap();
        let listed = run("iptables -S DOCKER-USER");
        assert!(listed.contains("--mark 0x1000/0x1000"), "{listed}");
        docker.borrow_mut().take();
        std::thread::sleep(Duration::from_millis(100));
        fabric.remove(&network(1).id).unwrap();
    });
}

/// A system bus and firewalld on it.
struct Firewalld {
    bus: Child,
    daemon: Child,
}

impl Firewalld {
    fn start() -> Firewalld {
        fs::create_dir_all("/run/dbus").unwrap();
        let quiet = |command: &mut Command| {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let bus = quiet(Command::new("dbus-daemon").args(["--system", "--nofork", "--nopidfile"]));
        eventually("the bus is there", || {
            Path::new("/run/dbus/system_bus_socket").exists()
        });
        let daemon = quiet(Command::new("firewalld").args(["--nofork", "--nopid"]));
        let firewalld = Firewalld { bus, daemon };
        eventually("firewalld runs", || {
            let state = Command::new("firewall-cmd").arg("--state").output();
            state.is_ok_and(|state| state.status.success())
        });
        firewalld
    }
}

impl Drop for Firewalld {
    fn drop(&mut self) {
        for child in [&mut self.daemon, &mut self.bus] {
            let id = child.id().to_string();
            Command::new("kill").args(["-TERM", &id]).status().ok();
            child.wait().ok();
        }
    }
}

#[test]
fn firewalld_lets_our_packets_pass() {
    in_a_host_of_its_own(|| {
        private_mounts();
        let copies = tempfile::tempdir().unwrap();
        copied("/etc/firewalld", copies.path());
        let firewalld = Firewalld::start();
        // The default zone lets pass what comes and goes by its own interfaces; one that does not is what a server has.
        run("firewall-cmd --permanent --zone=public --remove-forward");
        run("firewall-cmd --reload");
        story(
            "firewalld",
            || drop(run("firewall-cmd --complete-reload")),
            || run("firewall-cmd --zone=trusted --list-interfaces"),
        );
        drop(firewalld);
    });
}
