//! Subnets and addresses: which are chosen, which may be asked for, which are given out. Pure.

mod lease;
mod mac;
mod subnet;

pub(crate) use lease::Leases;
pub(crate) use mac::mac_of;
pub(crate) use subnet::{Taken, plan};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// An address as a number, for arithmetic that is the same in both families.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The address of this number in the family of `like`.
fn address(number: u128, like: &IpNet) -> IpAddr {
    match like {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from(
            u32::try_from(number & u128::from(u32::MAX)).unwrap_or(u32::MAX),
        )),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

/// The first and the last address of a subnet that a host may have: not IPv4's network and broadcast addresses
/// (RFC 1122 section 3.2.1.3), not IPv6's subnet-router anycast address (RFC 4291 section 2.6.1).
fn hosts(subnet: &IpNet) -> (u128, u128) {
    let (first, last) = (number(subnet.network()), number(subnet.broadcast()));
    match subnet {
        IpNet::V4(_) => (first + 1, last - 1),
        IpNet::V6(_) => (first + 1, last),
    }
}

/// Whether two subnets share addresses.
fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}
