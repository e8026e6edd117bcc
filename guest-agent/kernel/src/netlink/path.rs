//! Routes: which way packets go (`rtnetlink(7)`, `linux/rtnetlink.h`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::address::{family, octets};
use super::request::CREATE;
use super::wire::{self, Attributes, u32_at};
use super::{Request, Writer};

/// `struct rtmsg`
const HEADER: usize = 12;

/// A route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Where to: everything of a family is `0.0.0.0/0` or `::/0`.
    pub to: IpNet,
    /// The next router.
    pub via: Option<IpAddr>,
    /// Through which link; none for routes that refuse packets, and for those with several ways.
    pub index: Option<u32>,
    /// The lowest wins.
    pub metric: u32,
}

impl Request {
    /// Adds a route through a link: by way of a router, or to neighbours of that link.
    pub fn add_route(to: IpNet, via: Option<IpAddr>, index: u32) -> Self {
        let object = describe(to, via, index);
        Self::new(libc::RTM_NEWROUTE, CREATE, "add route", object, |w| {
            let scope = match (to, via) {
                (IpNet::V4(_), None) => libc::RT_SCOPE_LINK,
                _ => libc::RT_SCOPE_UNIVERSE,
            };
            let protocol = libc::RTPROT_STATIC;
            body(w, to, via, index, [protocol, scope, libc::RTN_UNICAST]);
        })
    }

    /// Removes such a route.
    pub fn remove_route(to: IpNet, via: Option<IpAddr>, index: u32) -> Self {
        let object = describe(to, via, index);
        Self::new(libc::RTM_DELROUTE, 0, "remove route", object, |w| {
            // Zeroes match any protocol and type, and so does this scope.
            body(w, to, via, index, [0, libc::RT_SCOPE_NOWHERE, 0]);
        })
    }
}

fn describe(to: IpNet, via: Option<IpAddr>, index: u32) -> String {
    match via {
        Some(via) => format!("{to} via {via} on link {index}"),
        None => format!("{to} on link {index}"),
    }
}

fn body(
    w: &mut Writer,
    to: IpNet,
    via: Option<IpAddr>,
    index: u32,
    [protocol, scope, kind]: [u8; 3],
) {
    let main = libc::RT_TABLE_MAIN;
    w.raw(&[
        family(to.addr()),
        to.prefix_len(),
        0,
        0,
        main,
        protocol,
        scope,
        kind,
    ]);
    w.raw(&[0; 4]);
    if to.prefix_len() > 0 {
        // The kernel refuses bits outside of the prefix.
        w.put(libc::RTA_DST, &octets(to.network()));
    }
    if let Some(via) = via {
        w.put(libc::RTA_GATEWAY, &octets(via));
    }
    w.put_u32(libc::RTA_OIF, index);
}

/// The request for the main table.
pub(super) fn ask() -> Vec<u8> {
    let mut w = Writer::default();
    w.raw(&[0, 0, 0, 0, libc::RT_TABLE_MAIN, 0, 0, 0]);
    w.raw(&[0; 4]);
    w.bytes
}

impl Path {
    /// `None` for routes of other tables, which kernels that do not filter send too, and for cached ones.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let [family, prefix, _, _, table, ..] = *body else {
            return None;
        };
        let attributes = Attributes::after(HEADER, body);
        let number = |kind| attributes.find(kind).and_then(|value| u32_at(value, 0));
        let table = number(libc::RTA_TABLE).unwrap_or(table.into());
        let cached = u32_at(body, 8)? & libc::RTM_F_CLONED != 0;
        if table != libc::RT_TABLE_MAIN.into() || cached {
            return None;
        }
        let everything = match i32::from(family) {
            libc::AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            libc::AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => return None,
        };
        let to = match attributes.find(libc::RTA_DST) {
            Some(value) => wire::address(value)?,
            None => everything,
        };
        Some(Self {
            to: IpNet::new(to, prefix).ok()?,
            via: attributes.find(libc::RTA_GATEWAY).and_then(wire::address),
            index: number(libc::RTA_OIF),
            metric: number(libc::RTA_PRIORITY).unwrap_or(0),
        })
    }
}
