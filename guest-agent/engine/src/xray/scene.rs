//! The things that a request to one port passes, with their counters at this instant.

use std::net::{IpAddr, SocketAddr};

use proa_kernel::netlink::{Link, Route};
use proa_kernel::network::NetworkNamespace;
use proa_networks::{Endpoint, Fabric, Protocol, Published};
use proa_protocol::xray::{Hop, HopKind, Traffic};

use super::listening::{self, Listening};
use crate::network::Place;
use crate::{Result, error::Context, network::translate};

/// Where a request goes, and what is looked at.
pub(super) struct Scene<'a> {
    pub(super) fabric: &'a Fabric,
    pub(super) place: &'a Place,
    /// The container's first process.
    pub(super) pid: u32,
    pub(super) namespace: &'a NetworkNamespace,
    pub(super) port: u16,
    pub(super) protocol: Protocol,
}

impl Scene<'_> {
    /// Where the port is published, the addresses of IPv4 first.
    pub(super) fn published(&self) -> Option<&Published> {
        let fits = |port: &&Published| (port.inside, port.protocol) == (self.port, self.protocol);
        let mut all: Vec<_> = self.place.published.iter().filter(fits).collect();
        all.sort_by_key(|port| port.address.is_ipv6());
        all.into_iter().next()
    }

    /// The endpoint that requests from outside come by.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        let joint = self.place.way_out().or(self.place.joints.first());
        joint.map(|joint| &joint.endpoint)
    }

    /// Where the request arrives inside.
    pub(super) fn target(&self) -> Option<SocketAddr> {
        let endpoint = self.endpoint()?;
        let v4 = endpoint.ipv4.map(|net| IpAddr::from(net.addr()));
        let v6 = endpoint.ipv6.map(|net| IpAddr::from(net.addr()));
        Some(SocketAddr::new(v4.or(v6)?, self.port))
    }

    /// All hops, in order.
    pub(super) fn hops(&self) -> Result<Vec<Hop>> {
        let mut hops = Vec::new();
        let attempt = || "read the kernel's network interfaces".to_owned();
        let here = Route::open().context(attempt)?;
        let links = here.links().context(attempt)?;
        if let Some(published) = self.published() {
            hops.push(self.host(&here, &links, published));
            hops.push(self.rule(published)?);
        } else if self.endpoint().is_some() {
            let at = format!("port {}/{}", self.port, self.protocol);
            let mut hop = hop(HopKind::Host, &at);
            hop.detail =
                "not published: only this host and neighbours in the network reach it".into();
            hops.push(hop);
        }
        if let Some(endpoint) = self.endpoint() {
            hops.extend(outside(&links, endpoint));
            let inside = Route::open_in(self.namespace).context(attempt)?;
            hops.push(within(&inside.links().context(attempt)?, endpoint));
        }
        hops.push(self.namespace_hop());
        hops.extend(self.listener());
        Ok(hops)
    }

    fn host(&self, route: &Route, links: &[Link], published: &Published) -> Hop {
        let at = SocketAddr::new(published.address, published.port);
        let mut hop = hop(HopKind::Host, &format!("{at}/{}", published.protocol));
        // The kernel is asked anew each time: an interface may have come meanwhile.
        let index = if published.address.is_unspecified() {
            let routes = route.routes().unwrap_or_default();
            let default = routes.into_iter().find(|path| path.to.prefix_len() == 0);
            hop.detail = "every address of this host".into();
            default.and_then(|path| path.index)
        } else {
            let addresses = route.addresses().unwrap_or_default();
            let own = addresses
                .into_iter()
                .find(|own| own.address.addr() == published.address);
            own.map(|own| own.index)
        };
        match links.iter().find(|link| Some(link.index) == index) {
            Some(link) => {
                let word = if hop.detail.is_empty() {
                    ""
                } else {
                    "; the way out is "
                };
                hop.detail = format!("{}{word}{}", hop.detail, link.name);
                hop.traffic = Some(traffic(link));
            }
            None if hop.detail.is_empty() => {
                hop.problem = Some(format!(
                    "no interface has the address {}",
                    published.address
                ));
            }
            None => {}
        }
        hop
    }

    fn rule(&self, published: &Published) -> Result<Hop> {
        let traced = self.fabric.traced(published).map_err(translate)?;
        let Some(traced) = traced else {
            let mut hop = hop(HopKind::Rule, "none");
            hop.detail =
                "no rule translates it: the engine itself carries connections from here".into();
            return Ok(hop);
        };
        let mut hop = hop(HopKind::Rule, &traced.rule);
        hop.detail = format!("{} becomes {}", traced.key, traced.to);
        hop.traffic = traced
            .counted
            .map(|(packets, bytes)| Traffic { packets, bytes });
        if self.target().is_some_and(|target| target != traced.to) {
            hop.problem = Some("it leads to another address than the container's".into());
        }
        Ok(hop)
    }

    fn namespace_hop(&self) -> Hop {
        let inode = self.namespace.inode().unwrap_or_default();
        let mut hop = hop(HopKind::Namespace, &format!("net:[{inode}]"));
        hop.detail = format!("of process {}", self.pid);
        hop
    }

    /// The socket and its process.
    fn listener(&self) -> Vec<Hop> {
        let all = listening::on_port(self.pid, self.protocol, self.port);
        let reached = |socket: &&Listening| match self.target() {
            Some(target) => socket.takes(target.ip()),
            None => true,
        };
        let Some(socket) = all.iter().find(reached) else {
            let mut hop = hop(
                HopKind::Socket,
                &format!("port {}/{}", self.port, self.protocol),
            );
            hop.problem = Some(self.nobody(&all));
            return vec![hop];
        };
        let at = SocketAddr::new(socket.address, socket.port);
        let mut waits = hop(HopKind::Socket, &format!("{at}/{}", self.protocol));
        waits.detail = match self.protocol {
            Protocol::Tcp => format!("{} connections wait to be accepted", socket.waiting),
            _ => format!("{} bytes wait to be read", socket.waiting),
        };
        vec![waits, process(self.pid, socket)]
    }

    fn nobody(&self, all: &[Listening]) -> String {
        match (all.first(), self.protocol) {
            (_, Protocol::Sctp) => "sockets of SCTP are not looked for".into(),
            (None, _) => format!("nothing listens on port {} inside", self.port),
            (Some(other), _) => format!(
                "what listens on port {} does so at {} only, where no request from outside arrives; it has to listen at \
                 0.0.0.0",
                self.port, other.address
            ),
        }
    }
}

fn process(pid: u32, socket: &Listening) -> Hop {
    let holders = listening::holders(pid, socket.inode);
    let Some(first) = holders.first() else {
        let mut hop = hop(HopKind::Process, "unknown");
        hop.problem = Some("no process in the namespace holds the socket".into());
        return hop;
    };
    let mut hop = hop(HopKind::Process, &format!("pid {first}"));
    hop.detail = listening::command(*first);
    if holders.len() > 1 {
        hop.detail = format!("{}, and {} more", hop.detail, holders.len() - 1);
    }
    hop
}

/// The network's interface on the host, and the host's end of the pair.
fn outside(links: &[Link], endpoint: &Endpoint) -> Vec<Hop> {
    let name = endpoint.host_interface.as_deref();
    let Some(end) = links.iter().find(|link| Some(link.name.as_str()) == name) else {
        return Vec::new();
    };
    let mut hops = Vec::new();
    let bridge = links.iter().find(|link| Some(link.index) == end.master);
    hops.extend(bridge.map(|bridge| device(HopKind::Bridge, bridge)));
    hops.push(device(HopKind::Veth, end));
    hops
}

/// The container's end.
fn within(links: &[Link], endpoint: &Endpoint) -> Hop {
    match links.iter().find(|link| link.name == endpoint.interface) {
        Some(link) => {
            let mut hop = device(HopKind::Interface, link);
            let v4 = endpoint.ipv4.map(|net| net.to_string());
            let v6 = endpoint.ipv6.map(|net| net.to_string());
            hop.detail = v4.into_iter().chain(v6).collect::<Vec<_>>().join(", ");
            hop
        }
        None => {
            let mut hop = hop(HopKind::Interface, &endpoint.interface);
            hop.problem = Some("the container has no such interface".into());
            hop
        }
    }
}

fn device(kind: HopKind, link: &Link) -> Hop {
    let mut hop = hop(kind, &link.name);
    hop.traffic = Some(traffic(link));
    if !link.running {
        hop.problem = Some("it is switched off".into());
    }
    hop
}

fn traffic(link: &Link) -> Traffic {
    let counters = &link.counters;
    Traffic {
        packets: counters.rx_packets + counters.tx_packets,
        bytes: counters.rx_bytes + counters.tx_bytes,
    }
}

fn hop(kind: HopKind, name: &str) -> Hop {
    Hop {
        kind,
        name: name.to_owned(),
        detail: String::new(),
        traffic: None,
        probed: None,
        nanoseconds: None,
        unmeasured: None,
        problem: None,
    }
}
