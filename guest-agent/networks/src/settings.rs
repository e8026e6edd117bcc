//! What an engine may choose about its networks.

use ipnet::IpNet;

/// The choices of one engine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Interfaces of ours begin with it, at most 4 bytes: two engines on one host need two.
    pub prefix: String,
    /// Whose our interfaces are: they bear it as their alias, so that two engines do not sweep each other's.
    pub engine: String,
    /// The nftables table; two engines on one host need two.
    pub table: String,
    /// Where subnets are taken from, the first free one first.
    pub pools: Vec<AddressPool>,
    /// How many namespaces of each kind are kept ready.
    pub prepared: usize,
    /// Whether one rule of ours may be put where other firewalls on this host want it, so that they let our packets
    /// through.
    pub foreign_firewalls: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            prefix: "pr".into(),
            engine: "proa".into(),
            table: "proa".into(),
            pools: AddressPool::usual(),
            prepared: 6,
            foreign_firewalls: true,
        }
    }
}

/// A range of addresses that is cut into subnets of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// All of it.
    pub base: IpNet,
    /// The prefix length of each subnet.
    pub size: u8,
}

impl AddressPool {
    /// Docker's pools, in its order, and then enough small ones for thousands of networks.
    #[must_use]
    pub fn usual() -> Vec<AddressPool> {
        let pool = |a, b, prefix, size| AddressPool {
            base: IpNet::new_assert([a, b, 0, 0].into(), prefix),
            size,
        };
        vec![
            pool(172, 17, 16, 16),
            pool(172, 18, 15, 16),
            pool(172, 20, 14, 16),
            pool(172, 24, 14, 16),
            pool(172, 28, 14, 16),
            pool(192, 168, 16, 20),
            pool(10, 201, 16, 24),
            pool(10, 202, 15, 24),
            pool(10, 204, 14, 24),
            pool(10, 208, 12, 24),
        ]
    }
}
