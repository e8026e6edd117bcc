//! What networks and ports are in the sets and maps. Pure.

use std::net::IpAddr;

use proa_kernel::nftables::{Batch, Element, Table, Value};

use super::ruleset::{BRIDGES, INTERNAL, MASQUERADED, PORTS, PORTS_AT, SUBNETS, WITHIN};
use crate::state::Translation;
use crate::{Driver, Network, Protocol, Published};

/// An element, and the set it is in.
pub(super) type Placed = (&'static str, Element);

/// What a network is in.
pub(super) fn of_network(network: &Network) -> Vec<Placed> {
    let Driver::Bridge(options) = &network.driver else {
        return Vec::new();
    };
    let interface = || Value::from(network.interface.as_str());
    let mut placed = vec![(BRIDGES, Element::new([interface()]))];
    if options.between_endpoints {
        placed.push((WITHIN, Element::new([interface(), interface()])));
    }
    if network.internal {
        placed.push((INTERNAL, Element::new([interface()])));
    }
    for pool in &network.pools {
        let family = usize::from(pool.gateway.is_ipv6());
        placed.push((SUBNETS[family], Element::prefix(pool.subnet)));
        if options.masquerade && !network.internal {
            placed.push((MASQUERADED[family], Element::prefix(pool.subnet)));
        }
    }
    placed
}

/// The map that a published port is in, and what is looked for there.
pub(super) fn key(published: &Published) -> (&'static str, Vec<Value>) {
    let family = usize::from(published.address.is_ipv6());
    let protocol = Value::Byte(number(published.protocol));
    let outside = Value::Port(published.port);
    if published.address.is_unspecified() {
        return (PORTS[family], vec![protocol, outside]);
    }
    let address = Value::Address(published.address);
    (PORTS_AT[family], vec![address, protocol, outside])
}

/// What a published port is in; nothing where the kernel cannot translate it.
pub(super) fn of_port(port: &Translation) -> Option<Placed> {
    let to = port.to?;
    let published = &port.published;
    // The kernel has no way from ::1 to another interface.
    if published.address == IpAddr::V6(std::net::Ipv6Addr::LOCALHOST) {
        return None;
    }
    let (map, key) = key(published);
    let target = [Value::Address(to), Value::Port(published.inside)];
    Some((map, Element::new(key).with(target)))
}

/// Adds elements to a batch, those of one set together.
pub(super) fn add(batch: &mut Batch, table: Table<'_>, placed: &[Placed]) {
    for (set, elements) in by_set(placed) {
        batch.add_elements(table, set, &elements);
    }
}

/// The same for deleting.
pub(super) fn delete(batch: &mut Batch, table: Table<'_>, placed: &[Placed]) {
    for (set, elements) in by_set(placed) {
        batch.delete_elements(table, set, &elements);
    }
}

fn by_set(placed: &[Placed]) -> std::collections::BTreeMap<&'static str, Vec<Element>> {
    let mut sets = std::collections::BTreeMap::<_, Vec<_>>::new();
    for (set, element) in placed {
        sets.entry(*set).or_default().push(element.clone());
    }
    sets
}

/// The number in an IP header (`/etc/protocols`).
pub(crate) fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}
