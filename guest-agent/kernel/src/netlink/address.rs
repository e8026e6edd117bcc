//! Addresses of links (`rtnetlink(7)`, `linux/if_addr.h`).

use std::net::IpAddr;

use ipnet::IpNet;

use super::request::CREATE;
use super::wire::{self, Attributes, u32_at};
use super::{Request, Writer};

/// `struct ifaddrmsg`
const HEADER: usize = 8;

/// An address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The link's index.
    pub index: u32,
    /// The address with the prefix of its subnet.
    pub address: IpNet,
    /// Not usable yet, or never: duplicates are being looked for, or one was found.
    pub tentative: bool,
}

impl Request {
    /// Adds an address to a link, and the route to its subnet. With `nodad` an IPv6 address can be used at once, with
    /// nobody asked whether it is his.
    pub fn add_address(index: u32, address: IpNet, nodad: bool) -> Self {
        let object = format!("{address} to link {index}");
        Self::new(libc::RTM_NEWADDR, CREATE, "add address", object, |w| {
            head(w, index, address);
            let nodad = nodad && address.addr().is_ipv6();
            if let IpAddr::V4(broadcast) = address.broadcast()
                && address.prefix_len() < 31
            {
                w.put(libc::IFA_BROADCAST, &broadcast.octets());
            }
            if nodad {
                w.put_u32(libc::IFA_FLAGS, libc::IFA_F_NODAD);
            }
        })
    }

    /// Takes an address from a link.
    pub fn remove_address(index: u32, address: IpNet) -> Self {
        let object = format!("{address} of link {index}");
        Self::new(libc::RTM_DELADDR, 0, "remove address", object, |w| {
            head(w, index, address);
        })
    }
}

fn head(w: &mut Writer, index: u32, address: IpNet) {
    w.raw(&[family(address.addr()), address.prefix_len(), 0, 0]);
    w.raw(&index.to_ne_bytes());
    let octets = octets(address.addr());
    w.put(libc::IFA_LOCAL, &octets);
    w.put(libc::IFA_ADDRESS, &octets);
}

/// `AF_INET` or `AF_INET6`
pub(super) fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

impl Address {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let [_, prefix, flags, ..] = *body else {
            return None;
        };
        let attributes = Attributes::after(HEADER, body);
        // Of an IPv4 link between two, IFA_ADDRESS is the other side; IPv6 has no IFA_LOCAL otherwise.
        let address = attributes
            .find(libc::IFA_LOCAL)
            .or_else(|| attributes.find(libc::IFA_ADDRESS))
            .and_then(wire::address)?;
        Some(Self {
            index: u32_at(body, 4)?,
            address: IpNet::new(address, prefix).ok()?,
            tentative: u32::from(flags) & libc::IFA_F_TENTATIVE != 0,
        })
    }
}
