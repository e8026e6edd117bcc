//! What can go wrong, in words for whoever asked.

use std::io;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::Protocol;

/// The outcome of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure, naming the thing it happened to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two networks would share addresses.
    #[error(
        "subnet {subnet} overlaps with {with}, which {holder} uses; choose another with --subnet"
    )]
    Overlap {
        /// The one asked for.
        subnet: IpNet,
        /// The one in its way.
        with: IpNet,
        /// A network's name, or a route's interface.
        holder: String,
    },
    /// Every subnet of the pools is used.
    #[error(
        "no free subnet is left in the address pools; give one with --subnet, or remove networks nobody uses"
    )]
    NoSubnet,
    /// Every address of a subnet is used.
    #[error("no free address is left in {0}")]
    Full(IpNet),
    /// An address is another endpoint's.
    #[error("address {0} is already in use")]
    AddressTaken(IpAddr),
    /// An address outside of the network's subnets.
    #[error("address {address} is in none of the subnets of network {network}")]
    AddressOutside {
        /// The one asked for.
        address: IpAddr,
        /// The network's name.
        network: String,
    },
    /// A port that somebody else listens on.
    #[error("port {address}/{protocol} is already in use{}", held_by(holder))]
    PortTaken {
        /// Where.
        address: SocketAddr,
        /// Which protocol.
        protocol: Protocol,
        /// The process, if it can be found.
        holder: Option<String>,
    },
    /// Something about the request that makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The host cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// A network that is not there.
    #[error("network {0} not found")]
    NoNetwork(String),
    /// A network that somebody is in.
    #[error("network {network} has {count} active endpoint{}", if *count == 1 { "" } else { "s" })]
    InUse {
        /// The network's name.
        network: String,
        /// How many are in it.
        count: usize,
    },
    /// The kernel cannot translate or filter packets for us.
    #[error(
        "open the packet filter: {0}; networks need nftables: `modprobe nf_tables`, or a kernel built with CONFIG_NF_TABLES (containers with --network none or host run without it)"
    )]
    NoPacketFilter(io::Error),
    /// The kernel refused.
    #[error("{what}: {source}")]
    Kernel {
        /// What was attempted, on what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

fn held_by(holder: &Option<String>) -> String {
    holder
        .as_ref()
        .map_or_else(String::new, |holder| format!(" by {holder}"))
}

impl From<proa_kernel::netlink::Error> for Error {
    fn from(error: proa_kernel::netlink::Error) -> Error {
        Error::Kernel {
            what: error.to_string(),
            source: error.source,
        }
    }
}
