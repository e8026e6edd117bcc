//! A host's network of a test's own: a namespace in which an engine runs, and one that plays the world outside.
//!
//! ```text
//! outside 10.99.0.1, fd99::1 ──veth── uplink 10.99.0.2, fd99::2 host
//! ```
//! Nothing of it is seen from the machine's own namespace, so that tests run beside one another and each can count what
//! is there before and after.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::agent::poll;
use super::programs::run;

/// The host's address as seen from outside.
pub const HOST: &str = "10.99.0.2";
/// The same in IPv6.
pub const HOST6: &str = "fd99::2";
/// The outside's address.
pub const OUTSIDE: &str = "10.99.0.1";

/// Two namespaces, held by a process each; gone when dropped.
pub struct Network {
    host: Holder,
    outside: Holder,
}

impl Network {
    pub fn new() -> Self {
        let network = Self {
            host: Holder::new(),
            outside: Holder::new(),
        };
        let outside = network.outside.0.id().to_string();
        let script = format!(
            "ip link set lo up; ip link add uplink type veth peer name outer netns {outside}; \
             ip addr add {HOST}/24 dev uplink; ip addr add {HOST6}/64 dev uplink nodad; ip link set uplink up; \
             ip route add default via {OUTSIDE}; ip -6 route add default via fd99::1"
        );
        run(network.host("sh").args(["-ec", &script])).ok();
        let script = format!(
            "ip link set lo up; ip addr add {OUTSIDE}/24 dev outer; ip addr add fd99::1/64 dev outer nodad; \
             ip link set outer up"
        );
        run(network.outside("sh").args(["-ec", &script])).ok();
        network
    }

    /// A program on the host.
    pub fn host(&self, program: &str) -> Command {
        self.host.command(program)
    }

    /// A program outside.
    pub fn outside(&self, program: &str) -> Command {
        self.outside.command(program)
    }

    /// The words with which a program is started on the host.
    pub fn prefix(&self) -> Vec<String> {
        self.host.prefix()
    }

    /// Processes that are on the host and outside, for whoever enters their namespaces.
    pub fn pids(&self) -> [u32; 2] {
        [self.host.0.id(), self.outside.0.id()]
    }

    /// What the kernel has in the host's namespace that an engine may leave there: interfaces, rules, routes.
    pub fn traces(&self) -> Vec<String> {
        let mut found = Vec::new();
        let asked: [&[&str]; 4] = [
            &["ip", "-o", "link"],
            &["nft", "list", "tables"],
            &["ip", "-4", "route"],
            &["ip", "rule"],
        ];
        for words in asked {
            let listed = run(self.host(words[0]).args(&words[1..])).ok();
            found.extend(listed.lines().map(|line| {
                // Numbers of interfaces and what is known of their peers change.
                let line = line.split_once(": ").map_or(line, |(_, rest)| rest);
                line.split(": <").next().unwrap_or(line).to_owned()
            }));
        }
        found.sort();
        found
    }
}

/// A sleeping process in a network namespace of its own.
struct Holder(Child);

impl Holder {
    fn new() -> Self {
        let child = Command::new("unshare")
            .args(["--net", "sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare starts");
        let own = std::fs::read_link("/proc/self/ns/net").expect("there is /proc");
        let path = format!("/proc/{}/ns/net", child.id());
        poll(Duration::from_secs(10), "a network namespace", || {
            std::fs::read_link(&path).is_ok_and(|name| name != own)
        });
        Self(child)
    }

    fn prefix(&self) -> Vec<String> {
        let net = format!("--net=/proc/{}/ns/net", self.0.id());
        vec!["nsenter".to_owned(), net, "--".to_owned()]
    }

    fn command(&self, program: &str) -> Command {
        let prefix = self.prefix();
        let mut command = Command::new(&prefix[0]);
        command.args(&prefix[1..]).arg(program);
        command
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
