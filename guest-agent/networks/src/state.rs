//! What is there: networks, who has which address, which ports are published. No kernel in here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::address::{Leases, Taken, mac_of};
use crate::{Driver, Endpoint, EndpointRequest, Error, Network, Published, Result};

/// All of one fabric.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) networks: BTreeMap<String, Member>,
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
    pub(crate) ports: Vec<Translation>,
}

/// A network and its addresses.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) network: Network,
    leases: Vec<Leases>,
}

/// A published port, and where it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Translation {
    pub(crate) published: Published,
    /// Where the kernel sends it; none where only our own process can.
    pub(crate) to: Option<IpAddr>,
    pub(crate) owner: String,
}

impl State {
    /// The subnets that are in use.
    pub(crate) fn subnets(&self) -> Vec<Taken> {
        let networks = self.networks.values().map(|member| &member.network);
        networks
            .flat_map(|network| {
                network.pools.iter().map(|pool| Taken {
                    subnet: pool.subnet,
                    holder: format!("network {}", network.name),
                    route: false,
                })
            })
            .collect()
    }

    /// Takes up a network.
    pub(crate) fn admit(&mut self, network: Network) {
        let leases = network.pools.iter().map(Leases::of).collect();
        self.networks
            .insert(network.id.clone(), Member { network, leases });
    }

    /// The network of this id.
    pub(crate) fn network(&self, id: &str) -> Result<&Network> {
        match self.networks.get(id) {
            Some(member) => Ok(&member.network),
            None => Err(Error::NoNetwork(id.to_owned())),
        }
    }

    /// The same, if nobody is in it.
    pub(crate) fn unused_network(&self, id: &str) -> Result<Network> {
        let network = self.network(id)?;
        let inside = self.endpoints.values().filter(|end| end.network == id);
        match inside.count() {
            0 => Ok(network.clone()),
            count => Err(Error::InUse {
                network: network.name.clone(),
                count,
            }),
        }
    }

    /// Gives an endpoint its addresses and the name of its interface.
    pub(crate) fn reserve(&mut self, request: &EndpointRequest) -> Result<Endpoint> {
        let interface = self.interface_of(request)?;
        let member = self
            .networks
            .get_mut(&request.network)
            .ok_or_else(|| Error::NoNetwork(request.network.clone()))?;
        let (ipv4, ipv6) = member.lease(request)?;
        let network = &member.network;
        let gateway = |wanted: fn(&IpAddr) -> bool| {
            let gateways = network.pools.iter().map(|pool| pool.gateway);
            gateways.filter(|_| !network.internal).find(wanted)
        };
        let endpoint = Endpoint {
            id: request.id.clone(),
            network: network.id.clone(),
            owner: request.owner.clone(),
            host_interface: None,
            interface,
            mac: request
                .mac
                .unwrap_or_else(|| mac_of(ipv4.map(|net| net.addr()), ipv6.map(|net| net.addr()))),
            ipv4,
            ipv6,
            gateway4: gateway(IpAddr::is_ipv4).and_then(only_v4),
            gateway6: gateway(IpAddr::is_ipv6).and_then(only_v6),
            rate: request.rate,
        };
        self.endpoints.insert(endpoint.id.clone(), endpoint.clone());
        Ok(endpoint)
    }

    /// The interface's name that is asked for, or the first `ethN` that its owner does not have yet.
    fn interface_of(&self, request: &EndpointRequest) -> Result<String> {
        let used: Vec<&str> = self
            .endpoints
            .values()
            .filter(|endpoint| endpoint.owner == request.owner)
            .map(|endpoint| endpoint.interface.as_str())
            .collect();
        match &request.interface {
            Some(name) if used.contains(&name.as_str()) => {
                Err(Error::Invalid(format!("interface {name} is there already")))
            }
            Some(name) => check_interface(name),
            None => Ok((0..=used.len())
                .map(|number| format!("eth{number}"))
                .find(|name| !used.contains(&name.as_str()))
                .unwrap_or_default()),
        }
    }

    /// Takes up an endpoint that is in use since before.
    pub(crate) fn adopt(&mut self, endpoint: Endpoint) {
        if let Some(member) = self.networks.get_mut(&endpoint.network) {
            for address in addresses(&endpoint) {
                member
                    .leases
                    .iter_mut()
                    .filter(|leases| leases.may_hold(address))
                    .for_each(|leases| leases.adopt(address));
            }
        }
        self.endpoints.insert(endpoint.id.clone(), endpoint);
    }

    /// Takes an endpoint's addresses back.
    pub(crate) fn release(&mut self, endpoint: &Endpoint) {
        if self.endpoints.remove(&endpoint.id).is_none() {
            return;
        }
        if let Some(member) = self.networks.get_mut(&endpoint.network) {
            for address in addresses(endpoint) {
                for leases in &mut member.leases {
                    leases.give_back(address);
                }
            }
        }
    }

    /// Where packets to a published address can be translated to: the first endpoint of its family on a bridge that the
    /// outside reaches.
    pub(crate) fn target(&self, endpoints: &[Endpoint], published: IpAddr) -> Option<IpAddr> {
        endpoints
            .iter()
            .filter(|endpoint| self.reachable(endpoint))
            .find_map(|endpoint| {
                addresses(endpoint).find(|own| own.is_ipv4() == published.is_ipv4())
            })
    }

    /// Whether an endpoint is one that ports can be published of.
    pub(crate) fn reachable(&self, endpoint: &Endpoint) -> bool {
        self.network(&endpoint.network)
            .is_ok_and(|network| !network.internal && matches!(network.driver, Driver::Bridge(_)))
    }
}

impl Member {
    /// One address of each pool, or none at all.
    fn lease(&mut self, request: &EndpointRequest) -> Result<(Option<Ipv4Net>, Option<Ipv6Net>)> {
        let wanted = [request.ipv4.map(IpAddr::V4), request.ipv6.map(IpAddr::V6)];
        for address in wanted.into_iter().flatten() {
            if !self.leases.iter().any(|leases| leases.may_hold(address)) {
                return Err(Error::AddressOutside {
                    address,
                    network: self.network.name.clone(),
                });
            }
        }
        let mut leased = (None, None);
        for place in 0..self.leases.len() {
            let subnet = self.network.pools[place].subnet;
            match self.lease_of(place, request) {
                Ok(IpAddr::V4(address)) => {
                    leased.0 = Ipv4Net::new(address, subnet.prefix_len()).ok();
                }
                Ok(IpAddr::V6(address)) => {
                    leased.1 = Ipv6Net::new(address, subnet.prefix_len()).ok();
                }
                Err(error) => {
                    if let Some(former) = leased.0 {
                        self.leases[0].give_back(former.addr().into());
                    }
                    return Err(error);
                }
            }
        }
        Ok(leased)
    }

    fn lease_of(&mut self, place: usize, request: &EndpointRequest) -> Result<IpAddr> {
        let leases = &mut self.leases[place];
        let wanted = match self.network.pools[place].subnet {
            IpNet::V4(_) => request.ipv4.map(IpAddr::V4),
            IpNet::V6(_) => request.ipv6.map(IpAddr::V6),
        };
        match wanted {
            Some(address) => leases.take(address),
            None => leases.next(),
        }
    }
}

/// An endpoint's addresses.
pub(crate) fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = IpAddr> + use<> {
    let ipv4 = endpoint.ipv4.map(|net| IpAddr::V4(net.addr()));
    let ipv6 = endpoint.ipv6.map(|net| IpAddr::V6(net.addr()));
    ipv4.into_iter().chain(ipv6)
}

/// The kernel's rule (`dev_valid_name`): 1 to 15 bytes, no slash, colon or space, not `.` or `..`.
pub(crate) fn check_interface(name: &str) -> Result<String> {
    let odd = |byte: u8| byte == b'/' || byte == b':' || !byte.is_ascii_graphic();
    if name.is_empty() || name.len() > 15 || name.bytes().any(odd) || name.starts_with('.') {
        return Err(Error::Invalid(format!(
            "{name:?} cannot be the name of an interface"
        )));
    }
    Ok(name.to_owned())
}

fn only_v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn only_v6(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}
