//! The path of a request, with times.
//!
//! The kernel stamps no packet at every hop, but it times the handshake of each connection. Three connections to one
//! socket take ways that differ by a hop each, and what one takes longer than the other is that hop's. A hop that no
//! difference is about says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proa_kernel::network::NetworkNamespace;
use proa_networks::{Protocol, Published};
use proa_protocol::xray::{Hop, HopKind, Probe, RequestPath, Traffic};

use super::probe;
use super::scene::Scene;
use crate::container::Container;
use crate::error::Context;
use crate::network::connect::blocking;
use crate::{Engine, Error, Result};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct PathOptions {
    /// The port inside.
    pub port: u16,
    /// Whether it is UDP's.
    pub udp: bool,
    /// Whether connections may be made to measure; their other side sees them.
    pub probe: bool,
}

impl Engine {
    /// Follows a request to a port of a container that runs.
    pub async fn request_path(&self, name: &str, options: PathOptions) -> Result<RequestPath> {
        let container = self.container(name)?;
        let wired = self.wired(&container)?;
        let (id, networks) = (container.id().to_string(), self.networks.clone());
        let running = wired.seen().state.running(&id)?.clone();
        blocking(move || {
            let attempt = || format!("open the network namespace of container {id}");
            let namespace = NetworkNamespace::of_process(running.pid).context(attempt)?;
            let scene = Scene {
                fabric: &networks.fabric,
                place: &running.place,
                pid: running.pid,
                namespace: &namespace,
                port: options.port,
                protocol: if options.udp {
                    Protocol::Udp
                } else {
                    Protocol::Tcp
                },
            };
            let (hops, probes) = measured(&scene, options.probe)?;
            Ok(RequestPath {
                container: id,
                port: options.port,
                protocol: scene.protocol.to_string(),
                hops,
                probes,
            })
        })
        .await
    }

    /// The container in whose network this one is: itself, unless it shares another's.
    fn wired(&self, container: &Container) -> Result<Container> {
        let mode = &container.seen().definition.host.network_mode;
        match mode.strip_prefix("container:") {
            Some(other) => self.container(other),
            None => self.container(container.id().as_str()),
        }
    }
}

/// The hops, with what passed them and how long it took.
fn measured(scene: &Scene<'_>, probing: bool) -> Result<(Vec<Hop>, Vec<Probe>)> {
    let before = scene.hops()?;
    let listens = before.iter().any(|hop| hop.kind == HopKind::Process);
    if !probing || !listens || scene.protocol != Protocol::Tcp {
        let why = if !probing {
            "no probe was asked for"
        } else if listens {
            "only the handshake of TCP can be timed"
        } else {
            "nothing listens that would answer a probe"
        };
        return Ok((
            before.into_iter().map(|hop| unmeasured(hop, why)).collect(),
            Vec::new(),
        ));
    }
    let probes = probes(scene);
    let mut hops = scene.hops()?;
    for hop in &mut hops {
        let same = |other: &&Hop| (other.kind, &other.name) == (hop.kind, &hop.name);
        let then = before.iter().find(same).and_then(|hop| hop.traffic);
        hop.probed = hop.traffic.zip(then).map(|(now, then)| Traffic {
            packets: now.packets.saturating_sub(then.packets),
            bytes: now.bytes.saturating_sub(then.bytes),
        });
    }
    Ok((timed(hops, &probes), probes))
}

fn probes(scene: &Scene<'_>) -> Vec<Probe> {
    let mut probes = Vec::new();
    match scene.target() {
        Some(target) => {
            probes.push(probe::inside(scene.namespace, target));
            probes.push(probe::from_host("host", target));
        }
        // Without an interface of its own there is loopback.
        None => {
            let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), scene.port);
            probes.push(probe::inside(scene.namespace, loopback));
        }
    }
    if let Some(published) = scene.published() {
        probes.push(probe::from_host("published", reachable(published)));
    }
    probes
}

/// An address at which this host finds its own port.
fn reachable(published: &Published) -> SocketAddr {
    let address = match published.address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, published.port)
}

/// Shares the times out: each way has one hop more than the one before.
fn timed(hops: Vec<Hop>, probes: &[Probe]) -> Vec<Hop> {
    let took = |way: &str| {
        let probe = probes.iter().find(|probe| probe.way == way);
        probe.and_then(|probe| probe.nanoseconds)
    };
    let more = |long: Option<u64>, short: Option<u64>| {
        let (long, short) = long.zip(short)?;
        Some(long.saturating_sub(short))
    };
    let (inside, host, published) = (took("inside"), took("host"), took("published"));
    let place = |mut hop: Hop| {
        let (time, why) = match hop.kind {
            HopKind::Socket => (inside, "the probe inside was not answered"),
            HopKind::Interface => (
                more(host, inside),
                "the probe from the host was not answered",
            ),
            HopKind::Rule => (
                more(published, host),
                "the probe to the host's port was not answered",
            ),
            HopKind::Host => (
                None,
                "the probes begin on this host: they do not come by its interface",
            ),
            HopKind::Bridge | HopKind::Veth => (
                None,
                "the kernel has no time for it alone: it is in that of the container's interface",
            ),
            HopKind::Namespace => (
                None,
                "no packet waits there: it is where the socket is looked for",
            ),
            HopKind::Process => (None, "a handshake is over before the process accepts it"),
        };
        hop.nanoseconds = time;
        if time.is_none() {
            hop = unmeasured(hop, why);
        }
        hop
    };
    hops.into_iter().map(place).collect()
}

fn unmeasured(mut hop: Hop, why: &str) -> Hop {
    hop.unmeasured = Some(why.to_owned());
    hop
}

/// The port that a query names.
///
/// # Errors
/// It is none.
pub fn port(number: Option<i64>) -> Result<u16> {
    let port = number.and_then(|number| u16::try_from(number).ok());
    port.filter(|port| *port > 0)
        .ok_or_else(|| Error::bad("say which port: ?port=80"))
}
