//! Which addresses of a subnet are given out.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{address, hosts, number, overlap};
use crate::{Error, Pool, Result};

/// The addresses of one subnet. The next one is the one after the last, so that an address that was just given back
/// rests as long as it can: peers' connections and caches may still mean its former owner.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    subnet: IpNet,
    /// The first and the last that are given out unasked.
    range: (u128, u128),
    next: u128,
    taken: BTreeSet<u128>,
}

impl Leases {
    /// All free but for the gateway and what is reserved.
    pub(crate) fn of(pool: &Pool) -> Leases {
        let (first, last) = hosts(&pool.subnet);
        let range = pool.range.map_or((first, last), |range| {
            let (low, high) = (number(range.network()), number(range.broadcast()));
            (low.max(first), high.min(last))
        });
        let taken = pool.reserved.values().copied().chain([pool.gateway]);
        Leases {
            subnet: pool.subnet,
            range,
            next: range.0,
            taken: taken.map(number).collect(),
        }
    }

    /// The next free address.
    pub(crate) fn next(&mut self) -> Result<IpAddr> {
        let found = self
            .first_free(self.next, self.range.1)
            .or_else(|| self.first_free(self.range.0, self.range.1))
            .ok_or(Error::Full(self.subnet))?;
        self.taken.insert(found);
        self.next = found + 1;
        Ok(address(found, &self.subnet))
    }

    /// This address, if nobody has it.
    pub(crate) fn take(&mut self, wanted: IpAddr) -> Result<IpAddr> {
        let wanted_number = number(wanted);
        if !self.taken.insert(wanted_number) {
            return Err(Error::AddressTaken(wanted));
        }
        Ok(wanted)
    }

    /// Takes up an address that is in use since before, and goes on after it.
    pub(crate) fn adopt(&mut self, used: IpAddr) {
        let used = number(used);
        self.taken.insert(used);
        if (self.range.0..=self.range.1).contains(&used) {
            self.next = self.next.max(used + 1);
        }
    }

    /// Whether the address is one that an endpoint may have.
    pub(crate) fn may_hold(&self, wanted: IpAddr) -> bool {
        let (first, last) = hosts(&self.subnet);
        self.subnet.contains(&wanted) && (first..=last).contains(&number(wanted))
    }

    /// Gives an address back.
    pub(crate) fn give_back(&mut self, address: IpAddr) {
        if overlap(&self.subnet, &IpNet::from(address)) {
            self.taken.remove(&number(address));
        }
    }

    /// Walks along the taken ones, which are few beside the range.
    fn first_free(&self, from: u128, to: u128) -> Option<u128> {
        let mut candidate = from;
        for &taken in self.taken.range(from..) {
            if taken != candidate {
                break;
            }
            candidate += 1;
        }
        (candidate <= to).then_some(candidate)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn leases(subnet: &str, range: Option<&str>) -> Leases {
        let subnet: IpNet = subnet.parse().unwrap();
        Leases::of(&Pool {
            subnet,
            range: range.map(|range| range.parse().unwrap()),
            gateway: address(number(subnet.network()) + 1, &subnet),
            reserved: BTreeMap::new(),
        })
    }

    fn text(address: Result<IpAddr>) -> String {
        address.map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    #[test]
    fn addresses_come_in_order_and_rest_when_given_back() {
        let mut leases = leases("10.0.0.0/29", None);
        assert_eq!(text(leases.next()), "10.0.0.2");
        assert_eq!(text(leases.next()), "10.0.0.3");
        leases.give_back("10.0.0.3".parse().unwrap());
        assert_eq!(text(leases.next()), "10.0.0.4");
        assert_eq!(text(leases.next()), "10.0.0.5");
        assert_eq!(text(leases.next()), "10.0.0.6");
        assert_eq!(text(leases.next()), "10.0.0.3");
        assert_eq!(
            text(leases.next()),
            "no free address is left in 10.0.0.0/29"
        );
    }

    #[test]
    fn a_range_bounds_what_is_given_unasked() {
        let mut leases = leases("10.0.0.0/24", Some("10.0.0.128/31"));
        assert_eq!(text(leases.next()), "10.0.0.128");
        assert_eq!(text(leases.next()), "10.0.0.129");
        assert!(matches!(leases.next(), Err(Error::Full(_))));
        assert_eq!(text(leases.take("10.0.0.7".parse().unwrap())), "10.0.0.7");
        let again = leases.take("10.0.0.7".parse().unwrap());
        assert_eq!(text(again), "address 10.0.0.7 is already in use");
    }

    #[test]
    fn ipv6_is_the_same() {
        let mut leases = leases("fd00:1::/64", None);
        assert_eq!(text(leases.next()), "fd00:1::2");
        leases.adopt("fd00:1::9".parse().unwrap());
        assert_eq!(text(leases.next()), "fd00:1::a");
        assert!(!leases.may_hold("fd00:1::".parse().unwrap()));
        assert!(!leases.may_hold("fd00:2::1".parse().unwrap()));
    }

    #[test]
    fn network_and_broadcast_addresses_are_nobodys() {
        let leases = leases("10.0.0.0/29", None);
        assert!(!leases.may_hold("10.0.0.0".parse().unwrap()));
        assert!(!leases.may_hold("10.0.0.7".parse().unwrap()));
        assert!(leases.may_hold("10.0.0.6".parse().unwrap()));
    }
}
