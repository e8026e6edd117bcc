//! Where a container's questions arrive.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proa_kernel::network::NetworkNamespace;
use proa_kernel::nftables::{
    Base, Batch, Chain, ChainKind, Family, Field, Hook, Nftables, Rule, Table, priority,
};

/// The address that containers ask. It is on every loopback interface, and images' configurations name it, because
/// Docker's is there.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// Where DNS is spoken.
const PORT: u16 = 53;
/// The number of a protocol in IP's header.
const TCP: u8 = 6;
/// The number of a protocol in IP's header.
const UDP: u8 = 17;

/// The two sockets of one network namespace. What is sent to port 53 of [`ADDRESS`] there arrives at them, on whatever
/// ports they are, so that the container may bind its own port 53.
#[derive(Debug)]
pub struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Sockets {
    /// Makes them, and the rule in the namespace that leads to them. The loopback interface has to be up.
    pub fn open(namespace: &impl AsFd) -> io::Result<Self> {
        let namespace = NetworkNamespace::from_fd(namespace.as_fd().try_clone_to_owned()?);
        namespace.inside(|| {
            let any_port = SocketAddrV4::new(ADDRESS, 0);
            let sockets = Self {
                udp: UdpSocket::bind(any_port)?,
                tcp: TcpListener::bind(any_port)?,
            };
            let (udp, tcp) = sockets.ports()?;
            redirect(udp, tcp)?;
            Ok(sockets)
        })
    }

    /// Takes up sockets that somebody kept since an earlier [`open`](Self::open); the rule is still there.
    pub fn adopt(udp: OwnedFd, tcp: OwnedFd) -> Self {
        Self {
            udp: udp.into(),
            tcp: tcp.into(),
        }
    }

    /// For whoever keeps them: UDP's and TCP's.
    pub fn descriptors(&self) -> (BorrowedFd<'_>, BorrowedFd<'_>) {
        (self.udp.as_fd(), self.tcp.as_fd())
    }

    /// UDP's and TCP's.
    pub fn ports(&self) -> io::Result<(u16, u16)> {
        let port = SocketAddr::port;
        Ok((port(&self.udp.local_addr()?), port(&self.tcp.local_addr()?)))
    }

    /// The namespace they are in.
    pub(super) fn namespace(&self) -> io::Result<NetworkNamespace> {
        NetworkNamespace::of_socket(&self.udp)
    }

    pub(super) fn into_tokio(self) -> io::Result<(tokio::net::UdpSocket, tokio::net::TcpListener)> {
        self.udp.set_nonblocking(true)?;
        self.tcp.set_nonblocking(true)?;
        Ok((
            tokio::net::UdpSocket::from_std(self.udp)?,
            tokio::net::TcpListener::from_std(self.tcp)?,
        ))
    }
}

/// Leads port 53 of [`ADDRESS`] to these ports, in the calling thread's namespace. The way back needs no rule: the
/// kernel's connection tracking restores the port that was asked.
fn redirect(udp: u16, tcp: u16) -> io::Result<()> {
    let table = Table {
        family: Family::Ipv4,
        name: "proa",
    };
    let chain = Chain {
        name: "names",
        base: Some(Base {
            kind: ChainKind::Nat,
            hook: Hook::Output,
            priority: priority::DSTNAT,
            accept: true,
        }),
    };
    let mut batch = Batch::new();
    // Those of sockets that were lost would come first.
    batch.remove_table(table);
    batch.add_table(table);
    batch.add_chain(table, &chain);
    for (protocol, port) in [(UDP, udp), (TCP, tcp)] {
        let rule = Rule::new()
            .is(Field::DestinationIpv4, ADDRESS)
            .is(Field::Protocol, protocol)
            .is(Field::DestinationPort, PORT)
            .destination(ADDRESS.into(), Some(port));
        batch.add_rule(table, chain.name, &rule);
    }
    let nftables = Nftables::open().map_err(io::Error::other)?;
    nftables.commit(&batch).map_err(io::Error::other)
}
