//! The host's interface of a network: a bridge, or the parent of interfaces with addresses of their own.

use std::net::IpAddr;

use ipnet::IpNet;
use proa_kernel::netlink::{BridgeOptions, Link, LinkChange, Request, Route, SubLink, VethOptions};

use crate::address::mac_of;
use crate::interface::Interfaces;
use crate::state::check_interface;
use crate::{Driver, Error, Mac, Network, Result, sysctl};

/// The name that a network's interface will have.
pub(crate) fn interface_of(id: &str, driver: &Driver, names: &Interfaces) -> Result<String> {
    match driver {
        Driver::Bridge(options) => match &options.name {
            Some(name) => check_interface(name),
            None => Ok(names.of_network(id)),
        },
        Driver::Macvlan { parent, .. } | Driver::Ipvlan { parent, .. } => match parent {
            Some(name) => check_interface(name),
            None => Ok(names.of_network(id)),
        },
    }
}

/// Makes a network's interface, or what is missing of it.
pub(crate) fn raise(
    host: &Route,
    network: &Network,
    names: &Interfaces,
    engine: &str,
) -> Result<()> {
    match &network.driver {
        Driver::Bridge(options) => {
            let link = bridge(host, network, options.mtu, names, engine)?;
            switches(network)?;
            give_addresses(host, &link, network)
        }
        Driver::Macvlan { parent, .. } | Driver::Ipvlan { parent, .. } => {
            raise_parent(host, network, parent.is_some(), names, engine)
        }
    }
}

/// Removes a network's interface, if it is one that we made.
pub(crate) fn lower(
    host: &Route,
    network: &Network,
    names: &Interfaces,
    engine: &str,
) -> Result<()> {
    let Some(link) = host.link_named(&network.interface)? else {
        return Ok(());
    };
    if !is_ours(&link, names, engine) {
        return Ok(());
    }
    match host.remove_link(link.index) {
        Err(error) if !error.is_missing() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether this engine made a link for a network: it bears the engine's name, or none yet and a name of our making.
pub(crate) fn is_ours(link: &Link, names: &Interfaces, engine: &str) -> bool {
    match &link.alias {
        Some(alias) => alias == engine,
        None => names.is_network(&link.name),
    }
}

/// The bridge, with a hardware address that does not change as ports come and go.
fn bridge(
    host: &Route,
    network: &Network,
    mtu: Option<u32>,
    names: &Interfaces,
    engine: &str,
) -> Result<Link> {
    let Mac(mac) = gateway_mac(network);
    let options = BridgeOptions {
        mac: Some(mac),
        mtu,
        ..BridgeOptions::default()
    };
    let name = &network.interface;
    let found = match host.add_bridge(name, &options) {
        Err(error) if !error.is_present() => return Err(error.into()),
        added => added.is_err(),
    };
    let link = existing(host, name)?;
    if link.kind.as_deref() != Some("bridge") {
        return Err(Error::Invalid(format!(
            "interface {name} is there already and is no bridge"
        )));
    }
    if found && !is_ours(&link, names, engine) {
        // Somebody made it for us to use, as Docker's users do; it stays theirs.
        let up = LinkChange {
            up: Some(true),
            ..LinkChange::default()
        };
        host.set(link.index, &up)?;
        return Ok(link);
    }
    host.run(&[mark(&link, engine)])?;
    Ok(link)
}

/// Whose it is, for the sweep after a restart.
fn mark(link: &Link, engine: &str) -> Request {
    let change = LinkChange {
        alias: Some(engine),
        up: Some(true),
        ..LinkChange::default()
    };
    Request::set(link.index, &change)
}

pub(crate) fn existing(host: &Route, name: &str) -> Result<Link> {
    host.link_named(name)?
        .ok_or_else(|| Error::Invalid(format!("interface {name} is not there")))
}

fn gateway_mac(network: &Network) -> Mac {
    let gateway = |v4| {
        let mut gateways = network.pools.iter().map(|pool| pool.gateway);
        gateways.find(|gateway| gateway.is_ipv4() == v4)
    };
    let (mut ipv4, mut ipv6) = (None, None);
    if let Some(IpAddr::V4(address)) = gateway(true) {
        ipv4 = Some(address);
    }
    if let Some(IpAddr::V6(address)) = gateway(false) {
        ipv6 = Some(address);
    }
    mac_of(ipv4, ipv6)
}

/// Packets from the host's 127.0.0.1 may leave by a bridge, for ports published there (the firewall stops those that
/// only pretend). IPv6 is off where the network has none, or the bridge would talk to its endpoints in it.
fn switches(network: &Network) -> Result<()> {
    let name = network.interface.replace('.', "/");
    let has_ipv6 = network.pools.iter().any(|pool| pool.gateway.is_ipv6());
    sysctl::set(&format!("ipv4/conf/{name}/route_localnet"), "1")?;
    for (switch, value) in [
        ("accept_ra", "0"),
        ("accept_dad", "0"),
        ("disable_ipv6", if has_ipv6 { "0" } else { "1" }),
    ] {
        sysctl::set_where_known(&format!("ipv6/conf/{name}/{switch}"), value)?;
    }
    Ok(())
}

fn give_addresses(host: &Route, link: &Link, network: &Network) -> Result<()> {
    for pool in &network.pools {
        let address = IpNet::new(pool.gateway, pool.subnet.prefix_len());
        let address = address.unwrap_or_else(|_| IpNet::from(pool.gateway));
        match host.add_address(link.index, address, true) {
            Err(error) if !error.is_present() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// A parent called `eth0.10` that is not there is VLAN 10 of `eth0`, and made for the networks on it.
fn raise_vlan(host: &Route, name: &str, engine: &str) -> Result<()> {
    let (beneath, id) = vlan(name)?;
    let beneath = existing(host, beneath)?;
    let link = SubLink {
        name,
        parent: beneath.index,
        up: true,
        ..SubLink::default()
    };
    match host.add_vlan(id, &link) {
        Err(error) if !error.is_present() => return Err(error.into()),
        _ => {}
    }
    host.run(&[mark(&existing(host, name)?, engine)])?;
    Ok(())
}

/// The interface and the VLAN that a name such as `eth0.10` stands for; ids are those of IEEE 802.1Q.
fn vlan(name: &str) -> Result<(&str, u16)> {
    let named = name
        .split_once('.')
        .filter(|(beneath, _)| !beneath.is_empty());
    let (beneath, id) = named.ok_or_else(|| {
        Error::Invalid(format!(
            "interface {name} is not there; give one that is, or one of its VLANs, such as eth0.10"
        ))
    })?;
    match id.parse() {
        Ok(id @ 1..=4094) => Ok((beneath, id)),
        _ => Err(Error::Invalid(format!(
            "{id:?} in interface {name} is no VLAN: they have the numbers 1 to 4094"
        ))),
    }
}

/// Refuses a network of a kind that this kernel does not have.
pub(crate) fn check_kernel(host: &Route, driver: &Driver) -> Result<()> {
    let (kind, parent) = match driver {
        Driver::Bridge(_) => return Ok(()),
        Driver::Macvlan { parent, .. } => ("macvlan", parent),
        Driver::Ipvlan { parent, .. } => ("ipvlan", parent),
    };
    let lacking = |kind: &str, module: &str| {
        Err(Error::Unsupported(format!(
            "this kernel has no {kind} links: `modprobe {module}`, or boot one that has them"
        )))
    };
    if !host.knows(kind) {
        return lacking(kind, kind);
    }
    match parent {
        Some(name) if host.link_named(name)?.is_none() && vlan(name).is_ok() => {
            if host.knows("vlan") {
                Ok(())
            } else {
                lacking("VLAN", "8021q")
            }
        }
        Some(_) | None => Ok(()),
    }
}

/// The parent that was named, or one end of a veth pair that leads nowhere: a carrier for endpoints that only see one
/// another, on every kernel (not all have dummy devices).
fn raise_parent(
    host: &Route,
    network: &Network,
    named: bool,
    names: &Interfaces,
    engine: &str,
) -> Result<()> {
    let name = &network.interface;
    if named {
        return match host.link_named(name)? {
            Some(_) => Ok(()),
            None => raise_vlan(host, name, engine),
        };
    }
    let counterpart = names.of_counterpart(&network.id);
    let options = VethOptions {
        up: true,
        peer_name: &counterpart,
        ..VethOptions::default()
    };
    match host.add_veth(name, &options) {
        Err(error) if !error.is_present() => return Err(error.into()),
        _ => {}
    }
    for end in [name.as_str(), &counterpart] {
        sysctl::set_where_known(&format!("ipv6/conf/{end}/disable_ipv6"), "1")?;
        host.run(&[mark(&existing(host, end)?, engine)])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_are_read_from_names() {
        assert_eq!(vlan("eth0.10").unwrap(), ("eth0", 10));
        for wrong in [
            "eth0",
            "eth0.",
            "eth0.x",
            "eth0.0",
            "eth0.4095",
            ".7",
            "eth0.1.2",
        ] {
            assert!(vlan(wrong).is_err(), "{wrong}");
        }
    }
}
