//! The kernel's memory of connections over `NETLINK_NETFILTER` (`linux/netfilter/nfnetlink_conntrack.h`): what is
//! translated stays so until its entry is gone, whatever the rules say by then.
//!
//! Start at [`Conntrack::forget`].

use std::cell::RefCell;
use std::net::IpAddr;

use crate::netlink::wire::address;
use crate::netlink::{Attributes, Error, Result, Socket, Writer};
use crate::network::NetworkNamespace;

/// `NFNL_SUBSYS_CTNETLINK`: the high byte of every message's type.
const SUBSYSTEM: u16 = 1;
/// `enum cntl_msg_types`
const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;
/// `enum ctattr_type`
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_FILTER: u16 = 25;
/// `enum ctattr_filter`
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
/// `enum ctattr_tuple`
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
/// `enum ctattr_ip`: source and destination, IPv4's and IPv6's.
const CTA_IP: [[u16; 2]; 2] = [[1, 2], [3, 4]];
/// `enum ctattr_l4proto`
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
/// What a filter heeds, as the kernel's `nf_internals.h` numbers it.
const FILTER_IP: [u32; 2] = [1 << 0, 1 << 1];
const FILTER_PROTO_NUM: u32 = 1 << 3;
const FILTER_PROTO_DST_PORT: u32 = 1 << 5;

/// Which connections are meant: those for which everything given here holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flows {
    /// Whether IPv6 is meant; IPv4 otherwise.
    pub ipv6: bool,
    /// The protocol above IP.
    pub protocol: Option<u8>,
    /// Where its first packet came from.
    pub from: Option<IpAddr>,
    /// Where its first packet was sent to, before translation.
    pub to: Option<IpAddr>,
    /// To which port; only together with the protocol.
    pub port: Option<u16>,
    /// Who answers, after translation.
    pub answered_by: Option<IpAddr>,
}

impl Flows {
    /// All connections of a family.
    pub fn of(ipv6: bool) -> Self {
        Self {
            ipv6,
            protocol: None,
            from: None,
            to: None,
            port: None,
            answered_by: None,
        }
    }

    /// Those to a port of an address, or of any address if it is `0.0.0.0` or `::`.
    pub fn to(protocol: u8, address: IpAddr, port: u16) -> Self {
        Self {
            protocol: Some(protocol),
            to: Some(address).filter(|address| !address.is_unspecified()),
            port: Some(port),
            ..Self::of(address.is_ipv6())
        }
    }

    /// Those that an address answers.
    pub fn answered_by(address: IpAddr) -> Self {
        Self {
            answered_by: Some(address),
            ..Self::of(address.is_ipv6())
        }
    }

    /// Those that an address began.
    pub fn from(address: IpAddr) -> Self {
        Self {
            from: Some(address),
            ..Self::of(address.is_ipv6())
        }
    }

    fn family(&self) -> u8 {
        if self.ipv6 {
            libc::AF_INET6 as u8
        } else {
            libc::AF_INET as u8
        }
    }

    /// The request for a list of them. Linux 5.8 and later pick them themselves, others send all of the family; and
    /// all of them up to 6.18 compare IPv6 addresses the wrong way round (`ctnetlink_filter_match_tuple`), so these
    /// are left to us.
    fn ask(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.raw(&[self.family(), 0, 0, 0]);
        let ends = |ends: [Option<IpAddr>; 2]| ends.map(|end| end.filter(IpAddr::is_ipv4));
        let original = ends([self.from, self.to]);
        let original = put_pattern(&mut w, CTA_TUPLE_ORIG, original, self.protocol, self.port);
        let reply = ends([self.answered_by, None]);
        let reply = put_pattern(&mut w, CTA_TUPLE_REPLY, reply, None, None);
        if original != 0 || reply != 0 {
            w.nest(CTA_FILTER, |w| {
                w.put_u32(CTA_FILTER_ORIG_FLAGS, original);
                w.put_u32(CTA_FILTER_REPLY_FLAGS, reply);
            });
        }
        w.bytes
    }

    fn include(&self, flow: &Flow) -> bool {
        let same = |wanted: Option<IpAddr>, found: IpAddr| wanted.is_none_or(|one| one == found);
        same(self.from, flow.from)
            && same(self.to, flow.to)
            && same(self.answered_by, flow.answered_by)
            && self.protocol.is_none_or(|one| one == flow.protocol)
            && self.port.is_none_or(|one| Some(one) == flow.port)
    }
}

/// Writes what one direction must be like and returns the bits of what is said.
fn put_pattern(
    w: &mut Writer,
    kind: u16,
    addresses: [Option<IpAddr>; 2],
    protocol: Option<u8>,
    port: Option<u16>,
) -> u32 {
    let mut bits = 0;
    w.nest(kind, |w| {
        if addresses != [None, None] {
            w.nest(CTA_TUPLE_IP, |w| {
                for (end, address) in addresses.iter().enumerate() {
                    if let Some(IpAddr::V4(address)) = address {
                        bits |= FILTER_IP[end];
                        w.put(CTA_IP[0][end], &address.octets());
                    }
                }
            });
        }
        if let Some(protocol) = protocol {
            w.nest(CTA_TUPLE_PROTO, |w| {
                bits |= FILTER_PROTO_NUM;
                w.put(CTA_PROTO_NUM, &[protocol]);
                if let Some(port) = port {
                    bits |= FILTER_PROTO_DST_PORT;
                    w.put(CTA_PROTO_DST_PORT, &port.to_be_bytes());
                }
            });
        }
    });
    bits
}

/// A connection that the kernel knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The protocol above IP.
    pub protocol: u8,
    /// Where its first packet came from.
    pub from: IpAddr,
    /// Where its first packet was sent to, before translation.
    pub to: IpAddr,
    /// From which port.
    pub source_port: Option<u16>,
    /// To which port.
    pub port: Option<u16>,
    /// Who answers, after translation.
    pub answered_by: IpAddr,
    /// Who is answered.
    pub answered_to: IpAddr,
    /// What tells it from a later one with the same addresses and ports.
    name: Vec<u8>,
}

impl Flow {
    fn parse(body: &[u8]) -> Option<Self> {
        let attributes = Attributes::after(4, body);
        let address_in = |tuple: u16, end: usize| {
            let addresses = attributes.within(tuple).within(CTA_TUPLE_IP);
            let value = CTA_IP.iter().find_map(|family| addresses.find(family[end]));
            value.and_then(address)
        };
        let protocol = attributes.within(CTA_TUPLE_ORIG).within(CTA_TUPLE_PROTO);
        let port = |kind| {
            let bytes = protocol.find(kind)?;
            Some(u16::from_be_bytes(*bytes.first_chunk()?))
        };
        let mut name = Writer::default();
        name.raw(&[*body.first()?, 0, 0, 0]);
        for kind in [CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE] {
            if let Some(value) = attributes.find(kind) {
                name.put(
                    kind | if kind == CTA_TUPLE_ORIG {
                        libc::NLA_F_NESTED as u16
                    } else {
                        0
                    },
                    value,
                );
            }
        }
        Some(Self {
            protocol: *protocol.find(CTA_PROTO_NUM)?.first()?,
            from: address_in(CTA_TUPLE_ORIG, 0)?,
            to: address_in(CTA_TUPLE_ORIG, 1)?,
            source_port: port(CTA_PROTO_SRC_PORT),
            port: port(CTA_PROTO_DST_PORT),
            answered_by: address_in(CTA_TUPLE_REPLY, 0)?,
            answered_to: address_in(CTA_TUPLE_REPLY, 1)?,
            name: name.bytes,
        })
    }
}

/// A `NETLINK_NETFILTER` socket: the door to the connections of one network namespace.
#[derive(Debug)]
pub struct Conntrack {
    socket: Socket,
}

impl Conntrack {
    /// Opens the door of the calling thread's namespace.
    pub fn open() -> Result<Self> {
        Socket::door(libc::NETLINK_NETFILTER, None).map(|socket| Self { socket })
    }

    /// Opens the door of another namespace.
    pub fn open_in(namespace: &NetworkNamespace) -> Result<Self> {
        Socket::door(libc::NETLINK_NETFILTER, Some(namespace)).map(|socket| Self { socket })
    }

    /// The connections that are meant.
    pub fn flows(&self, flows: &Flows) -> Result<Vec<Flow>> {
        let list = RefCell::new(Vec::new());
        self.socket
            .dump(
                SUBSYSTEM << 8 | IPCTNL_MSG_CT_GET,
                &flows.ask(),
                || list.borrow_mut().clear(),
                |body| {
                    let flow = Flow::parse(body).filter(|flow| flows.include(flow));
                    list.borrow_mut().extend(flow);
                },
            )
            .map_err(|source| Error::new("list", "tracked connections", source))?;
        Ok(list.into_inner())
    }

    /// Forgets the connections that are meant, so that their next packet is seen by the rules as the first of a new
    /// one. Returns how many there were.
    pub fn forget(&self, flows: &Flows) -> Result<usize> {
        let found = self.flows(flows)?;
        // Some hundred bytes each, and all of them have to fit into one message of the socket's.
        for some in found.chunks(256) {
            self.delete(some)?;
        }
        Ok(found.len())
    }

    fn delete(&self, flows: &[Flow]) -> Result<()> {
        let failed = |source| Error::new("forget", "tracked connections", source);
        let refusals = self
            .socket
            .submit(flows.len(), |first| {
                let mut writer = Writer::default();
                for (index, flow) in flows.iter().enumerate() {
                    let last = index + 1 == flows.len();
                    let ack = if last { libc::NLM_F_ACK } else { 0 };
                    let flags = (libc::NLM_F_REQUEST | ack) as u16;
                    let sequence = first.wrapping_add(index as u32);
                    writer.message(
                        SUBSYSTEM << 8 | IPCTNL_MSG_CT_DELETE,
                        flags,
                        sequence,
                        |w| {
                            w.raw(&flow.name);
                        },
                    );
                }
                writer.bytes
            })
            .map_err(failed)?;
        // One that ended by itself meanwhile is gone too.
        let error = refusals
            .into_iter()
            .map(|refusal| failed(refusal.source))
            .find(|error| !error.is_missing());
        error.map_or(Ok(()), Err)
    }
}

/// What the tests of arbitrary bytes reach.
#[cfg(test)]
pub(crate) fn take_apart(bytes: &[u8]) {
    let _ = Flow::parse(bytes);
}

#[cfg(test)]
mod tests;
