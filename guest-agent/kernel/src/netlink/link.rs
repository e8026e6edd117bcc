//! Links: bridges, veth pairs, links on top of others (`rtnetlink(7)`, `linux/if_link.h`).

use std::os::fd::{AsRawFd, BorrowedFd};

use super::request::CREATE;
use super::wire::{self, Attributes, u32_at, u64_at};
use super::{Request, Writer};

/// `struct ifinfomsg`
const HEADER: usize = 16;
/// `VETH_INFO_PEER`
const VETH_PEER: u16 = 1;
/// `IFLA_BR_MCAST_SNOOPING`
const BRIDGE_SNOOPING: u16 = 23;
/// `IFLA_INET_CONF`
const IPV4_CONF: u16 = 1;
/// `IFLA_INET6_ADDR_GEN_MODE`, of which 0 is `IN6_ADDR_GEN_MODE_EUI64` and 1 `…_NONE`
const IPV6_ADDR_GEN_MODE: u16 = 8;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
/// `IFLA_BRPORT_MODE`, `IFLA_BRPORT_ISOLATED`
const PORT_HAIRPIN: u16 = 4;
const PORT_ISOLATED: u16 = 33;
/// `IFLA_MACVLAN_MODE`
const MACVLAN_MODE: u16 = 1;
/// `IFLA_IPVLAN_MODE`
const IPVLAN_MODE: u16 = 1;
/// `IFLA_VLAN_ID`
const VLAN_ID: u16 = 1;

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number within the namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address, where it has one of six bytes.
    pub mac: Option<[u8; 6]>,
    /// The largest packet.
    pub mtu: u32,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether it can carry packets: it is on, and so is the other side.
    pub running: bool,
    /// The bridge it is a port of.
    pub master: Option<u32>,
    /// The link it is on top of, or the other end of a veth pair.
    pub parent: Option<u32>,
    /// What its maker wrote on it.
    pub alias: Option<String>,
    /// `bridge`, `veth`, `macvlan` …; none for a real device and for loopback.
    pub kind: Option<String>,
    /// What went through it.
    pub counters: Counters,
}

/// What went through a link since it was made (`struct rtnl_link_stats64`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the kernel's and say it all")]
pub struct Counters {
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
}

/// A bridge that is wanted.
#[derive(Clone, Debug, Default)]
pub struct BridgeOptions {
    /// Its hardware address; a random one otherwise, which changes as ports come and go.
    pub mac: Option<[u8; 6]>,
    /// The largest packet.
    pub mtu: Option<u32>,
    /// Switched on at once.
    pub up: bool,
    /// Whether it listens in on who wants which multicast group. The kernel's default is yes.
    pub multicast_snooping: Option<bool>,
}

/// A veth pair that is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct VethOptions<'a> {
    /// The hardware address of this end.
    pub mac: Option<[u8; 6]>,
    /// The bridge that this end becomes a port of.
    pub master: Option<u32>,
    /// The largest packet, for both ends.
    pub mtu: Option<u32>,
    /// This end switched on at once. The other cannot be: the kernel makes it first, and it has no partner then
    /// (`veth_open` says `ENOTCONN`).
    pub up: bool,
    /// The name of the other end.
    pub peer_name: &'a str,
    /// The network namespace in which the other end is made.
    pub peer_namespace: Option<BorrowedFd<'a>>,
    /// The hardware address of the other end.
    pub peer_mac: Option<[u8; 6]>,
}

/// A link on top of another that is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubLink<'a> {
    /// Its name.
    pub name: &'a str,
    /// The link beneath.
    pub parent: u32,
    /// The network namespace in which it is made.
    pub namespace: Option<BorrowedFd<'a>>,
    /// Its hardware address; of a macvlan only.
    pub mac: Option<[u8; 6]>,
    /// The largest packet; the parent's otherwise.
    pub mtu: Option<u32>,
    /// Switched on at once.
    pub up: bool,
}

/// What macvlan links of one parent are to one another (`enum macvlan_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacvlanMode {
    /// Strangers.
    Private = 1,
    /// Neighbours by way of the switch outside.
    Vepa = 2,
    /// Neighbours.
    Bridge = 4,
    /// There is only one.
    Passthru = 8,
}

/// What an ipvlan link does with packets (`enum ipvlan_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvlanMode {
    /// Switches them.
    L2 = 0,
    /// Routes them in the parent's namespace.
    L3 = 1,
    /// The same, through the hooks of netfilter there.
    L3s = 2,
}

/// What is to be different about a link; the rest stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkChange<'a> {
    /// Its name.
    pub name: Option<&'a str>,
    /// Its hardware address.
    pub mac: Option<[u8; 6]>,
    /// The largest packet.
    pub mtu: Option<u32>,
    /// The bridge it is a port of; 0 for none.
    pub master: Option<u32>,
    /// Words on it for whoever finds it later.
    pub alias: Option<&'a str>,
    /// Its network namespace; the other changes are made there.
    pub namespace: Option<BorrowedFd<'a>>,
    /// Whether it is switched on.
    pub up: Option<bool>,
}

/// What is to be different about a port of a bridge; the rest stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct PortChange {
    /// Whether packets may leave by the port they came in by.
    pub hairpin: Option<bool>,
    /// Whether isolated ports reach this one only through routing.
    pub isolated: Option<bool>,
}

/// A setting of IPv4 that each link has (`linux/ip.h`, `IPV4_DEVCONF_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv4Setting {
    /// `forwarding`
    Forwarding = 1,
    /// `rp_filter`
    ReversePathFilter = 8,
    /// `arp_notify`
    ArpNotify = 22,
    /// `route_localnet`: packets for 127.0.0.0/8 are routed.
    RouteLocalnet = 26,
}

impl Request {
    /// Adds a bridge.
    pub fn add_bridge(name: &str, options: &BridgeOptions) -> Self {
        Self::new(libc::RTM_NEWLINK, CREATE, "add bridge", name, |w| {
            head(w, 0, options.up.then_some(true));
            w.put_text(libc::IFLA_IFNAME, name);
            put_basics(w, options.mac, options.mtu);
            w.nest(libc::IFLA_LINKINFO, |w| {
                w.put_text(libc::IFLA_INFO_KIND, "bridge");
                w.nest(libc::IFLA_INFO_DATA, |w| {
                    if let Some(snooping) = options.multicast_snooping {
                        w.put(BRIDGE_SNOOPING, &[snooping.into()]);
                    }
                });
            });
        })
    }

    /// Adds a veth pair, with everything about it in one step: one end here, the other wherever it belongs.
    pub fn add_veth(name: &str, options: &VethOptions<'_>) -> Self {
        Self::new(libc::RTM_NEWLINK, CREATE, "add veth pair", name, |w| {
            head(w, 0, options.up.then_some(true));
            w.put_text(libc::IFLA_IFNAME, name);
            put_basics(w, options.mac, options.mtu);
            put_one_queue(w);
            if let Some(master) = options.master {
                w.put_u32(libc::IFLA_MASTER, master);
            }
            w.nest(libc::IFLA_LINKINFO, |w| {
                w.put_text(libc::IFLA_INFO_KIND, "veth");
                w.nest(libc::IFLA_INFO_DATA, |w| {
                    w.nest(VETH_PEER, |w| {
                        head(w, 0, None);
                        w.put_text(libc::IFLA_IFNAME, options.peer_name);
                        put_basics(w, options.peer_mac, options.mtu);
                        put_one_queue(w);
                        put_namespace(w, options.peer_namespace);
                    });
                });
            });
        })
    }

    /// Adds a link with a hardware address of its own on top of another.
    pub fn add_macvlan(mode: MacvlanMode, link: &SubLink<'_>) -> Self {
        add_on_top("add macvlan", link, "macvlan", |w| {
            w.put_u32(MACVLAN_MODE, mode as u32);
        })
    }

    /// Adds a link with the hardware address of the one beneath.
    pub fn add_ipvlan(mode: IpvlanMode, link: &SubLink<'_>) -> Self {
        add_on_top("add ipvlan", link, "ipvlan", |w| {
            w.put(IPVLAN_MODE, &(mode as u16).to_ne_bytes());
        })
    }

    /// Adds a link for the packets of one VLAN (IEEE 802.1Q) of the one beneath.
    pub fn add_vlan(id: u16, link: &SubLink<'_>) -> Self {
        add_on_top("add VLAN", link, "vlan", |w| {
            w.put(VLAN_ID, &id.to_ne_bytes());
        })
    }

    /// Asks for a link on top of nothing: never made, and refused with `EOPNOTSUPP` where the kernel does not know the
    /// kind, which it looks for first (`rtnl_newlink`).
    pub(super) fn probe(kind: &str) -> Self {
        let link = SubLink {
            name: "probe",
            ..SubLink::default()
        };
        add_on_top("look for links of a kind, as", &link, kind, |_| {})
    }

    /// Changes a link. The kernel starts with the namespace and ends with the switch.
    pub fn set(index: u32, change: &LinkChange<'_>) -> Self {
        let object = format!("link {index}");
        Self::new(libc::RTM_SETLINK, 0, "change", object, |w| {
            head(w, index, change.up);
            if let Some(name) = change.name {
                w.put_text(libc::IFLA_IFNAME, name);
            }
            put_basics(w, change.mac, change.mtu);
            if let Some(master) = change.master {
                w.put_u32(libc::IFLA_MASTER, master);
            }
            if let Some(alias) = change.alias {
                w.put(libc::IFLA_IFALIAS, alias.as_bytes());
            }
            put_namespace(w, change.namespace);
        })
    }

    /// Changes a setting of IPv4 that otherwise is a file of the namespace's `/proc/sys/net/ipv4/conf/NAME`.
    pub fn set_ipv4(index: u32, setting: Ipv4Setting, value: u32) -> Self {
        let object = format!("{setting:?} of link {index}");
        Self::new(libc::RTM_SETLINK, 0, "change", object, |w| {
            head(w, index, None);
            w.nest(libc::IFLA_AF_SPEC, |w| {
                w.nest(libc::AF_INET as u16, |w| {
                    w.nest(IPV4_CONF, |w| w.put_u32(setting as u16, value));
                });
            });
        })
    }

    /// Whether the kernel gives a link an IPv6 address for its own neighbourhood (`fe80::…`) when it is switched on.
    /// To be sent before that.
    pub fn set_ipv6_link_local(index: u32, on: bool) -> Self {
        let object = format!("link-local address of link {index}");
        Self::new(libc::RTM_SETLINK, 0, "change", object, |w| {
            head(w, index, None);
            w.nest(libc::IFLA_AF_SPEC, |w| {
                w.nest(libc::AF_INET6 as u16, |w| {
                    w.put(IPV6_ADDR_GEN_MODE, &[u8::from(!on)]);
                });
            });
        })
    }

    /// Changes what a bridge does with packets at one of its ports.
    pub fn set_port(index: u32, change: &PortChange) -> Self {
        let object = format!("port {index}");
        Self::new(libc::RTM_NEWLINK, 0, "change", object, |w| {
            head(w, index, None);
            w.nest(libc::IFLA_LINKINFO, |w| {
                w.put_text(IFLA_INFO_SLAVE_KIND, "bridge");
                w.nest(IFLA_INFO_SLAVE_DATA, |w| {
                    for (kind, value) in [
                        (PORT_HAIRPIN, change.hairpin),
                        (PORT_ISOLATED, change.isolated),
                    ] {
                        if let Some(value) = value {
                            w.put(kind, &[value.into()]);
                        }
                    }
                });
            });
        })
    }

    /// Removes a link; of a veth pair, both ends.
    pub fn remove_link(index: u32) -> Self {
        let object = format!("link {index}");
        Self::new(libc::RTM_DELLINK, 0, "remove", object, |w| {
            head(w, index, None);
        })
    }

    /// The same by name.
    pub fn remove_link_named(name: &str) -> Self {
        Self::new(libc::RTM_DELLINK, 0, "remove link", name, |w| {
            head(w, 0, None);
            w.put_text(libc::IFLA_IFNAME, name);
        })
    }
}

fn add_on_top(
    action: &'static str,
    link: &SubLink<'_>,
    kind: &str,
    info: impl FnOnce(&mut Writer),
) -> Request {
    Request::new(libc::RTM_NEWLINK, CREATE, action, link.name, |w| {
        head(w, 0, link.up.then_some(true));
        w.put_text(libc::IFLA_IFNAME, link.name);
        w.put_u32(libc::IFLA_LINK, link.parent);
        put_basics(w, link.mac, link.mtu);
        put_namespace(w, link.namespace);
        w.nest(libc::IFLA_LINKINFO, |w| {
            w.put_text(libc::IFLA_INFO_KIND, kind);
            w.nest(libc::IFLA_INFO_DATA, info);
        });
    })
}

/// `struct ifinfomsg`: the flags, and which of them are meant.
fn head(w: &mut Writer, index: u32, up: Option<bool>) {
    let mask = if up.is_some() { libc::IFF_UP as u32 } else { 0 };
    let flags = if up == Some(true) { mask } else { 0 };
    w.raw(&[libc::AF_UNSPEC as u8, 0, 0, 0]);
    w.raw(&index.to_ne_bytes());
    w.raw(&flags.to_ne_bytes());
    w.raw(&mask.to_ne_bytes());
}

fn put_basics(w: &mut Writer, mac: Option<[u8; 6]>, mtu: Option<u32>) {
    if let Some(mac) = mac {
        w.put(libc::IFLA_ADDRESS, &mac);
    }
    if let Some(mtu) = mtu {
        w.put_u32(libc::IFLA_MTU, mtu);
    }
}

/// Not to be told, veth makes a queue for each processor and uses one; giving up the rest waits for all processors
/// (`veth_init_queues`, `netif_set_real_num_tx_queues`), which is most of the time that a pair takes.
fn put_one_queue(w: &mut Writer) {
    w.put_u32(libc::IFLA_NUM_TX_QUEUES, 1);
    w.put_u32(libc::IFLA_NUM_RX_QUEUES, 1);
}

fn put_namespace(w: &mut Writer, namespace: Option<BorrowedFd<'_>>) {
    if let Some(namespace) = namespace {
        w.put_u32(libc::IFLA_NET_NS_FD, namespace.as_raw_fd() as u32);
    }
}

/// The request for one link by name, for all, or for the ports of a bridge.
pub(super) fn ask(name: Option<&str>, master: Option<u32>) -> Vec<u8> {
    let mut w = Writer::default();
    head(&mut w, 0, None);
    if let Some(name) = name {
        w.put_text(libc::IFLA_IFNAME, name);
    }
    if let Some(master) = master {
        w.put_u32(libc::IFLA_MASTER, master);
    }
    w.bytes
}

/// The request for one link by index.
pub(super) fn ask_index(index: u32) -> Vec<u8> {
    let mut w = Writer::default();
    head(&mut w, index, None);
    w.bytes
}

impl Link {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let attributes = Attributes::after(HEADER, body);
        let number = |kind| attributes.find(kind).and_then(|value| u32_at(value, 0));
        let flags = u32_at(body, 8)? as i32;
        let kind = attributes
            .within(libc::IFLA_LINKINFO)
            .find(libc::IFLA_INFO_KIND);
        Some(Self {
            index: u32_at(body, 4)?,
            name: wire::text(attributes.find(libc::IFLA_IFNAME)?),
            mac: attributes
                .find(libc::IFLA_ADDRESS)
                .and_then(|mac| mac.try_into().ok()),
            mtu: number(libc::IFLA_MTU).unwrap_or(0),
            up: flags & libc::IFF_UP != 0,
            running: flags & libc::IFF_RUNNING != 0,
            master: number(libc::IFLA_MASTER),
            parent: number(libc::IFLA_LINK),
            alias: attributes.find(libc::IFLA_IFALIAS).map(wire::text),
            kind: kind.map(wire::text),
            counters: attributes
                .find(libc::IFLA_STATS64)
                .and_then(Counters::parse)
                .unwrap_or_default(),
        })
    }
}

impl Counters {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let field = |place: usize| u64_at(bytes, place * 8);
        Some(Self {
            rx_packets: field(0)?,
            tx_packets: field(1)?,
            rx_bytes: field(2)?,
            tx_bytes: field(3)?,
            rx_errors: field(4)?,
            tx_errors: field(5)?,
            rx_dropped: field(6)?,
            tx_dropped: field(7)?,
        })
    }
}
