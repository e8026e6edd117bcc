//! Who is called what, in which network.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

/// The names of all networks. Shared by everything that answers and everything that attaches.
#[derive(Debug, Default)]
pub struct Names {
    networks: RwLock<BTreeMap<String, Zone>>,
}

/// What one endpoint is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Any case; the first is what its addresses are called in reverse.
    pub names: Vec<String>,
    /// Where it is.
    pub addresses: Vec<IpAddr>,
}

/// One network's names.
#[derive(Debug, Default)]
struct Zone {
    name: String,
    owners: BTreeMap<String, Entry>,
    by_name: HashMap<String, BTreeSet<String>>,
    by_address: HashMap<IpAddr, String>,
}

impl Names {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what a network is called: the suffix behind which its names are also known.
    pub fn name_network(&self, network: &str, name: &str) {
        let mut networks = self
            .networks
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        networks.entry(network.to_owned()).or_default().name = name.to_ascii_lowercase();
    }

    /// Forgets a network and all in it.
    pub fn forget_network(&self, network: &str) {
        self.networks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(network);
    }

    /// Says what `owner` is called in a network, and where it is; replaces what was said before.
    pub fn set(&self, network: &str, owner: &str, entry: Entry) {
        self.networks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(network.to_owned())
            .or_default()
            .set(owner, entry);
    }

    /// Forgets `owner` in a network; nothing happens if it is not there.
    pub fn remove(&self, network: &str, owner: &str) {
        if let Some(zone) = self
            .networks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(network)
        {
            zone.remove(owner);
        }
    }

    /// The addresses of everything that is called `name` (in lower case) in a network.
    pub(super) fn addresses(&self, network: &str, name: &str) -> Vec<IpAddr> {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        networks
            .get(network)
            .map_or_else(Vec::new, |zone| zone.addresses(name))
    }

    /// Whether the network is called `name`, in lower case.
    pub(super) fn is_called(&self, network: &str, name: &str) -> bool {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        networks.get(network).is_some_and(|zone| zone.name == name)
    }

    /// The name behind an address of a network, with the network's own behind it.
    pub(super) fn reverse(&self, network: &str, address: IpAddr) -> Option<String> {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        let zone = networks.get(network)?;
        let entry = zone.owners.get(zone.by_address.get(&address)?)?;
        let name = entry.names.first()?;
        Some(if zone.name.is_empty() {
            name.clone()
        } else {
            format!("{name}.{}", zone.name)
        })
    }
}

impl Zone {
    fn set(&mut self, owner: &str, mut entry: Entry) {
        self.remove(owner);
        for name in &mut entry.names {
            name.make_ascii_lowercase();
            let owners = self.by_name.entry(name.clone()).or_default();
            owners.insert(owner.to_owned());
        }
        for address in &entry.addresses {
            self.by_address.insert(*address, owner.to_owned());
        }
        self.owners.insert(owner.to_owned(), entry);
    }

    fn remove(&mut self, owner: &str) {
        let Some(entry) = self.owners.remove(owner) else {
            return;
        };
        for name in &entry.names {
            if let Some(owners) = self.by_name.get_mut(name) {
                owners.remove(owner);
                if owners.is_empty() {
                    self.by_name.remove(name);
                }
            }
        }
        for address in &entry.addresses {
            // It may be the next owner's already, if that one was told of first.
            if self.by_address.get(address).is_some_and(|of| of == owner) {
                self.by_address.remove(address);
            }
        }
    }

    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let owners = self.by_name.get(name).into_iter().flatten();
        owners
            .filter_map(|owner| self.owners.get(owner))
            .flat_map(|entry| entry.addresses.iter().copied())
            .collect()
    }
}
