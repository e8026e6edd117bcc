//! Published ports: bound on the host, translated by the kernel, and served by us where it cannot.

mod holder;
mod reserve;
mod serve;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use tokio::task::JoinHandle;

use crate::state::{State, Translation};
use crate::{Driver, Endpoint, Error, Fabric, PortRequest, Protocol, Published, Result};

/// A published port and the socket that keeps others from taking it.
#[derive(Debug)]
pub struct Reservation {
    /// What is published where.
    pub published: Published,
    /// Bound, and listening where the protocol has that; none where the kernel knows no socket of the protocol.
    pub socket: Option<OwnedFd>,
}

impl Fabric {
    /// Publishes ports of a sandbox: binds each on the host, so that a taken one fails here, and translates to the first
    /// endpoint that the outside reaches, for each address family. All or none.
    ///
    /// An empty answer means that no endpoint has a way in, as on internal networks.
    pub fn publish(
        &self,
        endpoints: &[Endpoint],
        ports: &[PortRequest],
    ) -> Result<Vec<Reservation>> {
        let (networks, taken) = {
            let state = self.lock_state();
            let open = endpoints.iter().filter(|end| state.reachable(end));
            let networks: Vec<_> = open
                .filter_map(|endpoint| state.network(&endpoint.network).ok().cloned())
                .collect();
            (networks, state.ports.clone())
        };
        let Some(network) = networks.first() else {
            return Ok(Vec::new());
        };
        let usual = match &network.driver {
            Driver::Bridge(options) => options.publish_on,
            Driver::Macvlan { .. } | Driver::Ipvlan { .. } => None,
        };
        let mut reserved: Vec<Reservation> = Vec::new();
        for request in ports {
            let addresses = request
                .address
                .or(usual)
                .map_or_else(everywhere, |address| vec![address]);
            let more = reserve::reserve(request, &addresses, &taken, &reserved)?;
            reserved.extend(more);
        }
        let published = reserved.iter().map(|one| one.published.clone()).collect();
        self.translate(endpoints, published)?;
        Ok(reserved)
    }

    /// Has the kernel translate what it can.
    fn translate(&self, endpoints: &[Endpoint], published: Vec<Published>) -> Result<()> {
        let ports: Vec<Translation> = {
            let mut state = self.lock_state();
            let ports = translations(&state, endpoints, published);
            state.ports.extend(ports.iter().cloned());
            ports
        };
        let done = self.firewall.publish(&ports);
        if done.is_err() {
            self.lock_state().ports.retain(|one| !ports.contains(one));
        }
        done?;
        self.forget(&ports);
        Ok(())
    }

    /// Takes published ports back. Their sockets are whoever's who holds them.
    pub fn unpublish(&self, ports: &[Published]) -> Result<()> {
        let (ended, rest): (Vec<_>, Vec<_>) = {
            let mut state = self.lock_state();
            std::mem::take(&mut state.ports)
                .into_iter()
                .partition(|one| ports.contains(&one.published))
        };
        let done = {
            let mut state = self.lock_state();
            state.ports.extend(rest);
            self.firewall.unpublish(&ended, &state)
        };
        self.forget(&ended);
        done
    }

    /// Connections of UDP are only remembered: what is remembered of a port would go on leading where it led before.
    fn forget(&self, ports: &[Translation]) {
        let udp = ports
            .iter()
            .filter(|port| port.published.protocol == Protocol::Udp && port.to.is_some());
        for port in udp {
            if let Err(error) = self.firewall.forget(&port.published) {
                tracing::warn!(%error, port = port.published.port, "connections of a UDP port are still remembered");
            }
        }
    }

    /// Carries what the kernel's translation cannot (`::1`, or IPv6 to an endpoint without it), as long as the task
    /// lives; its connections end with it. Must be called in a tokio runtime.
    pub fn serve_port(
        &self,
        published: &Published,
        socket: OwnedFd,
        endpoints: &[Endpoint],
    ) -> Result<JoinHandle<()>> {
        let target = {
            let state = self.lock_state();
            let same = state.target(endpoints, published.address);
            let other = if published.address.is_ipv4() {
                IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            } else {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED)
            };
            same.or_else(|| state.target(endpoints, other))
        };
        let Some(target) = target else {
            return Err(Error::Unsupported(format!(
                "port {} leads to no address",
                published.port
            )));
        };
        let to = std::net::SocketAddr::new(target, published.inside);
        serve::serve(published.protocol, socket, to).map_err(|source| Error::Kernel {
            what: format!("serve port {}/{}", published.port, published.protocol),
            source,
        })
    }
}

/// Docker's: all addresses of both families.
fn everywhere() -> Vec<IpAddr> {
    vec![
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ]
}

/// Where published ports lead to.
pub(crate) fn translations(
    state: &State,
    endpoints: &[Endpoint],
    published: Vec<Published>,
) -> Vec<Translation> {
    let owner = endpoints.first().map_or("", |end| end.owner.as_str());
    published
        .into_iter()
        .map(|published| Translation {
            to: state.target(endpoints, published.address),
            owner: owner.to_owned(),
            published,
        })
        .collect()
}
