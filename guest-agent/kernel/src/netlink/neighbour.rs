//! Neighbours: which hardware address an address has, known without asking (`rtnetlink(7)`, `linux/neighbour.h`).

use std::net::IpAddr;

use super::Request;
use super::address::{family, octets};

/// `enum` of `NDA_*`
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
/// `NUD_PERMANENT`, `NUD_REACHABLE`
const PERMANENT: u16 = 0x80;
const REACHABLE: u16 = 0x02;

impl Request {
    /// Tells a link the hardware address of a neighbour, in place of what it may know. A permanent one is never asked
    /// again; another until it has been silent for a while.
    pub fn set_neighbour(index: u32, address: IpAddr, mac: [u8; 6], permanent: bool) -> Self {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
        let object = format!("{address} of link {index}");
        Self::new(libc::RTM_NEWNEIGH, flags, "set neighbour", object, |w| {
            let state = if permanent { PERMANENT } else { REACHABLE };
            head(w, index, address, state);
            w.put(NDA_LLADDR, &mac);
        })
    }

    /// Makes a link forget a neighbour.
    pub fn remove_neighbour(index: u32, address: IpAddr) -> Self {
        let object = format!("{address} of link {index}");
        Self::new(libc::RTM_DELNEIGH, 0, "remove neighbour", object, |w| {
            head(w, index, address, 0);
        })
    }
}

/// `struct ndmsg`
fn head(w: &mut super::Writer, index: u32, address: IpAddr, state: u16) {
    w.raw(&[family(address), 0, 0, 0]);
    w.raw(&index.to_ne_bytes());
    w.raw(&state.to_ne_bytes());
    w.raw(&[0; 2]);
    w.put(NDA_DST, &octets(address));
}
