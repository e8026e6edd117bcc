//! Networks, endpoints and published ports as values.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// How a network carries packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Driver {
    /// A bridge on this host, with a way out by translation.
    Bridge(BridgeOptions),
    /// Interfaces with addresses of their own on one of the host's.
    Macvlan {
        /// The host's interface; one of our own making where there is none.
        parent: Option<String>,
        /// `bridge`, `private`, `vepa` or `passthru`.
        mode: String,
    },
    /// The same with one hardware address for all.
    Ipvlan {
        /// The host's interface; one of our own making where there is none.
        parent: Option<String>,
        /// `l2`, `l3` or `l3s`.
        mode: String,
    },
}

/// What can be chosen of a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeOptions {
    /// The interface's name, at most 15 bytes; chosen from the network's id where none is given.
    pub name: Option<String>,
    /// The largest packet.
    pub mtu: Option<u32>,
    /// Whether endpoints of this network reach one another.
    pub between_endpoints: bool,
    /// Whether what leaves bears the host's address.
    pub masquerade: bool,
    /// Where ports are published that name no address.
    pub publish_on: Option<IpAddr>,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        BridgeOptions {
            name: None,
            mtu: None,
            between_endpoints: true,
            masquerade: true,
            publish_on: None,
        }
    }
}

/// A network that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRequest {
    /// 64 hexadecimal digits.
    pub id: String,
    /// For messages.
    pub name: String,
    /// How it carries packets.
    pub driver: Driver,
    /// Whether it has IPv4.
    pub ipv4: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// Subnets; one is chosen for each address family that is wanted and not in here.
    pub pools: Vec<PoolRequest>,
    /// No way out, and none in.
    pub internal: bool,
}

/// A subnet that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolRequest {
    /// All addresses.
    pub subnet: Option<IpNet>,
    /// Those that are given out.
    pub range: Option<IpNet>,
    /// The bridge's own.
    pub gateway: Option<IpAddr>,
    /// Never given out.
    pub reserved: BTreeMap<String, IpAddr>,
}

/// A network that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// For messages.
    pub name: String,
    /// How it carries packets.
    pub driver: Driver,
    /// Its subnets: at most a few, IPv4 first.
    pub pools: Vec<Pool>,
    /// No way out, and none in.
    pub internal: bool,
    /// The host's interface: the bridge, or the parent.
    pub interface: String,
}

/// A subnet in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// All addresses.
    pub subnet: IpNet,
    /// Those that are given out.
    pub range: Option<IpNet>,
    /// The bridge's own.
    pub gateway: IpAddr,
    /// Never given out.
    pub reserved: BTreeMap<String, IpAddr>,
}

/// A hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

/// A place in a network that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRequest {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The network's id.
    pub network: String,
    /// Whose it is: the same text for all endpoints of one sandbox.
    pub owner: String,
    /// The name of the interface inside; the next `ethN` where none is given.
    pub interface: Option<String>,
    /// An address.
    pub ipv4: Option<Ipv4Addr>,
    /// An address.
    pub ipv6: Option<Ipv6Addr>,
    /// A hardware address; derived from the address where none is given.
    pub mac: Option<Mac>,
    /// Whether packets to elsewhere leave here.
    pub default_route: bool,
    /// Limits of bandwidth.
    pub rate: Rate,
}

/// Limits of bandwidth in bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// What comes in.
    pub ingress: Option<u64>,
    /// What goes out.
    pub egress: Option<u64>,
}

/// A place in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The network's id.
    pub network: String,
    /// Whose it is.
    pub owner: String,
    /// The host's end, where there is one.
    pub host_interface: Option<String>,
    /// The name of the interface inside.
    pub interface: String,
    /// The hardware address.
    pub mac: Mac,
    /// The address with its subnet's prefix.
    pub ipv4: Option<Ipv4Net>,
    /// The address with its subnet's prefix.
    pub ipv6: Option<Ipv6Net>,
    /// Where packets to elsewhere go; none in an internal network.
    pub gateway4: Option<Ipv4Addr>,
    /// Where packets to elsewhere go; none in an internal network.
    pub gateway6: Option<Ipv6Addr>,
    /// Limits of bandwidth.
    pub rate: Rate,
}

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        })
    }
}

/// A port to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRequest {
    /// Which protocol.
    pub protocol: Protocol,
    /// The port inside.
    pub inside: u16,
    /// The host's address; all of them where none is given.
    pub address: Option<IpAddr>,
    /// The host's ports to choose from, the first free one wins: one number twice, or 0 to 0 for any.
    pub ports: (u16, u16),
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Which protocol.
    pub protocol: Protocol,
    /// The port inside.
    pub inside: u16,
    /// The host's address, maybe `0.0.0.0` or `::`.
    pub address: IpAddr,
    /// The host's port.
    pub port: u16,
}
