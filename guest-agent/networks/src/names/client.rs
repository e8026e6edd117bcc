//! One container's view of the names.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::Names;

/// Whose questions are answered, and from what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The networks it is in, the one that is asked first in front.
    pub networks: Vec<Membership>,
    /// Names that only this client has, in lower case.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// Where the rest is asked, seen from inside of its namespace; the host's resolvers, seen from the host, if empty.
    pub servers: Vec<SocketAddr>,
    /// Whether the rest is asked at all: not if all of its networks are without the outside.
    pub forward: bool,
}

/// A network that a client is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// The network's id.
    pub network: String,
    /// What this client calls others here: its word for it, and a name that the network knows; both in lower case.
    pub links: BTreeMap<String, String>,
}

impl Client {
    /// The addresses behind a name (in lower case, without a dot at its end); empty if no network of the client's knows it.
    ///
    /// The first network that knows it wins. Both names and networks' names may hold dots, so `a.b.c` is looked for as a
    /// whole, then as `a.b` in the network `c`, then as `a` in the network `b.c`.
    pub(super) fn addresses(&self, names: &Names, name: &str) -> Vec<IpAddr> {
        if let Some(addresses) = self.hosts.get(name) {
            return addresses.clone();
        }
        let splits = name
            .rmatch_indices('.')
            .map(|(dot, _)| (&name[..dot], Some(&name[dot + 1..])));
        std::iter::once((name, None))
            .chain(splits)
            .find_map(|(name, network)| self.in_networks(names, name, network))
            .unwrap_or_default()
    }

    fn in_networks(
        &self,
        names: &Names,
        name: &str,
        network_name: Option<&str>,
    ) -> Option<Vec<IpAddr>> {
        let called = |of: &&Membership| {
            network_name.is_none_or(|network| names.is_called(&of.network, network))
        };
        self.networks.iter().filter(called).find_map(|of| {
            let name = of.links.get(name).map_or(name, String::as_str);
            let addresses = names.addresses(&of.network, name);
            (!addresses.is_empty()).then_some(addresses)
        })
    }

    /// What an address in one of the client's networks is called.
    pub(super) fn reverse(&self, names: &Names, address: IpAddr) -> Option<String> {
        self.networks
            .iter()
            .find_map(|of| names.reverse(&of.network, address))
    }
}
