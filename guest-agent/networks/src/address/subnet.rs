//! The subnets of a new network: those asked for, checked, and those chosen where none was asked for.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

use super::{address, hosts, number, overlap};
use crate::{AddressPool, Driver, Error, NetworkRequest, Pool, PoolRequest, Result};

/// A subnet that somebody uses already.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    /// The addresses.
    pub(crate) subnet: IpNet,
    /// A network's name or a route's interface.
    pub(crate) holder: String,
    /// Whether it is a route of the host, not a network of ours.
    pub(crate) route: bool,
}

impl Taken {
    /// Whether a subnet that was asked for must not be because of this one. A route to more than the subnet is no
    /// obstacle, since the network's own is the closer match; one to the same or a part of it would be cut off.
    fn forbids(&self, wanted: &IpNet, driver: &Driver) -> bool {
        if self.route {
            matches!(driver, Driver::Bridge(_)) && wanted.contains(&self.subnet)
        } else {
            overlap(wanted, &self.subnet)
        }
    }
}

/// What must not be chosen, as ranges without overlaps, so that a thousand networks are looked through quickly.
struct Shadows {
    /// The last address of each range and its first.
    ranges: BTreeMap<(bool, u128), u128>,
}

impl Shadows {
    /// Routes to nearly everywhere (a VPN's `0.0.0.0/1`) would leave nothing to choose from and are left out.
    fn of(taken: &[Taken]) -> Shadows {
        let mut sorted: Vec<_> = taken
            .iter()
            .filter(|other| !(other.route && other.subnet.prefix_len() < 8))
            .map(|other| span(&other.subnet))
            .collect();
        sorted.sort_unstable();
        let mut ranges = BTreeMap::new();
        let mut reached = None;
        for (v6, first, last) in sorted {
            // Prefixes nest or are apart, so what reaches no further is inside of the one before.
            if reached.is_none_or(|reached| (v6, last) > reached) {
                ranges.insert((v6, last), first);
                reached = Some((v6, last));
            }
        }
        Shadows { ranges }
    }

    fn cover(&self, candidate: &IpNet) -> bool {
        let (v6, first, last) = span(candidate);
        let mut after = self.ranges.range((v6, first)..);
        after
            .next()
            .is_some_and(|(&(other, _), &begin)| other == v6 && begin <= last)
    }
}

/// A subnet's family, first and last address.
fn span(subnet: &IpNet) -> (bool, u128, u128) {
    let v6 = matches!(subnet, IpNet::V6(_));
    (v6, number(subnet.network()), number(subnet.broadcast()))
}

/// The pools of a network that is asked for, IPv4 first.
pub(crate) fn plan(
    request: &NetworkRequest,
    pools: &[AddressPool],
    taken: &[Taken],
) -> Result<Vec<Pool>> {
    check_families(request)?;
    let mut planned = Vec::new();
    for (wanted, version) in [(request.ipv4, 4), (request.ipv6, 6)] {
        if wanted {
            planned.push(plan_family(request, version, pools, taken)?);
        }
    }
    Ok(planned)
}

fn check_families(request: &NetworkRequest) -> Result<()> {
    if !request.ipv4 && !request.ipv6 {
        return invalid(format!(
            "network {} has neither IPv4 nor IPv6",
            request.name
        ));
    }
    for (wanted, version) in [(request.ipv4, 4), (request.ipv6, 6)] {
        let count = of_family(request, version).count();
        if count > 1 {
            return invalid(format!(
                "network {} asks for {count} IPv{version} subnets; it can have one",
                request.name
            ));
        }
        if count == 1 && !wanted {
            return invalid(format!(
                "network {} asks for an IPv{version} subnet but not for IPv{version}",
                request.name
            ));
        }
    }
    Ok(())
}

/// What is asked for of one family. A request without any address is about IPv4, as in Docker.
fn of_family(request: &NetworkRequest, version: u8) -> impl Iterator<Item = &PoolRequest> {
    request
        .pools
        .iter()
        .filter(|pool| **pool != PoolRequest::default())
        .filter(move |pool| pool.version() == version)
}

impl PoolRequest {
    fn version(&self) -> u8 {
        let address = self
            .subnet
            .map(|subnet| subnet.addr())
            .or_else(|| self.range.map(|range| range.addr()))
            .or(self.gateway)
            .or_else(|| self.reserved.values().next().copied());
        match address {
            Some(IpAddr::V6(_)) => 6,
            Some(IpAddr::V4(_)) | None => 4,
        }
    }
}

fn plan_family(
    request: &NetworkRequest,
    version: u8,
    pools: &[AddressPool],
    taken: &[Taken],
) -> Result<Pool> {
    let Some(wanted) = of_family(request, version).next() else {
        let subnet = if version == 4 {
            choose_ipv4(pools, taken)?
        } else {
            choose_ipv6(&request.id, taken)?
        };
        return pool(
            &PoolRequest {
                subnet: Some(subnet),
                ..PoolRequest::default()
            },
            subnet,
        );
    };
    let Some(subnet) = wanted.subnet else {
        return invalid("a gateway, a range or a reserved address needs a subnet to be in");
    };
    check_subnet(&subnet)?;
    if let Some(other) = taken
        .iter()
        .find(|other| other.forbids(&subnet, &request.driver))
    {
        return Err(Error::Overlap {
            subnet,
            with: other.subnet,
            holder: other.holder.clone(),
        });
    }
    pool(wanted, subnet)
}

fn check_subnet(subnet: &IpNet) -> Result<()> {
    let whole = subnet.trunc();
    if *subnet != whole {
        return invalid(format!(
            "{subnet} is an address in a subnet; did you mean {whole}?"
        ));
    }
    if subnet.prefix_len() + 2 > subnet.max_prefix_len() {
        return invalid(format!("subnet {subnet} has no room for endpoints"));
    }
    let address = subnet.addr();
    let linklocal = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    if address.is_loopback() || address.is_multicast() || address.is_unspecified() || linklocal {
        return invalid(format!("subnet {subnet} cannot be a network's"));
    }
    Ok(())
}

/// Checks what is wanted inside of a subnet and fills in the gateway: the first address, or the range's first.
fn pool(wanted: &PoolRequest, subnet: IpNet) -> Result<Pool> {
    if let Some(range) = wanted.range
        && !subnet.contains(&range)
    {
        return invalid(format!("range {range} is not inside of subnet {subnet}"));
    }
    for (name, reserved) in &wanted.reserved {
        check_host(&format!("reserved address {name}"), *reserved, &subnet)?;
        if Some(*reserved) == wanted.gateway {
            return invalid(format!(
                "reserved address {name} ({reserved}) is the gateway"
            ));
        }
    }
    let gateway = match wanted.gateway {
        Some(gateway) => check_host("gateway", gateway, &subnet)?,
        None => free_gateway(wanted, &subnet)?,
    };
    Ok(Pool {
        subnet,
        range: wanted.range.map(|range| range.trunc()),
        gateway,
        reserved: wanted.reserved.clone(),
    })
}

fn free_gateway(wanted: &PoolRequest, subnet: &IpNet) -> Result<IpAddr> {
    let (first, last) = hosts(subnet);
    let from = wanted
        .range
        .map_or(first, |range| number(range.trunc().addr()).max(first));
    (from..=last)
        .map(|candidate| address(candidate, subnet))
        .find(|candidate| !wanted.reserved.values().any(|taken| taken == candidate))
        .ok_or(Error::Full(*subnet))
}

fn check_host(what: &str, address: IpAddr, subnet: &IpNet) -> Result<IpAddr> {
    let (first, last) = hosts(subnet);
    if !subnet.contains(&address) {
        return invalid(format!("{what} {address} is not inside of subnet {subnet}"));
    }
    if !(first..=last).contains(&number(address)) {
        return invalid(format!(
            "{what} {address} is the network or broadcast address of subnet {subnet}"
        ));
    }
    Ok(address)
}

fn choose_ipv4(pools: &[AddressPool], taken: &[Taken]) -> Result<IpNet> {
    let shadows = Shadows::of(taken);
    for pool in pools {
        let Ok(subnets) = pool.base.subnets(pool.size) else {
            return invalid(format!(
                "address pool {} cannot be cut into subnets of /{}",
                pool.base, pool.size
            ));
        };
        let mut free = subnets.filter(|subnet| !shadows.cover(subnet));
        if let Some(subnet) = free.next() {
            return Ok(subnet);
        }
    }
    Err(Error::NoSubnet)
}

/// A unique local subnet (RFC 4193): `fd`, and 56 bits of the network's id, which is random enough to meet nobody's.
fn choose_ipv6(id: &str, taken: &[Taken]) -> Result<IpNet> {
    let digits: Vec<u128> = id
        .chars()
        .filter_map(|digit| digit.to_digit(16).map(u128::from))
        .collect();
    digits
        .chunks_exact(14)
        .map(|chunk| chunk.iter().fold(0, |sum, digit| sum << 4 | digit))
        .map(|bits| Ipv6Addr::from((0xfd << 120) | (bits << 64)))
        .filter_map(|address| Ipv6Net::new(address, 64).ok().map(IpNet::V6))
        .find(|subnet| !Shadows::of(taken).cover(subnet))
        .ok_or(Error::NoSubnet)
}

fn invalid<T>(reason: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(reason.into()))
}

#[cfg(test)]
mod tests;
