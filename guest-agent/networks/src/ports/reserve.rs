//! Binding ports on the host, so that nobody else gets them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, ipproto, listen, socket_with,
    sockopt,
};

use super::{Reservation, holder};
use crate::state::Translation;
use crate::{Error, PortRequest, Protocol, Published, Result};

/// How many wait for the accept; the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// How often the kernel is asked for a port that is free on all addresses.
const ATTEMPTS: u32 = 64;

/// Binds the first of the ports that are asked for which is free on all addresses.
pub(super) fn reserve(
    request: &PortRequest,
    addresses: &[IpAddr],
    taken: &[Translation],
    just_now: &[Reservation],
) -> Result<Vec<Reservation>> {
    let (low, high) = request.ports;
    let any = (low, high) == (0, 0);
    let candidates: Vec<u16> = if any {
        vec![0; ATTEMPTS as usize]
    } else {
        (low..=high).collect()
    };
    let mut last = None;
    for port in candidates {
        if let Some(holder) = holder_of_ours(request.protocol, addresses, port, taken, just_now) {
            last = Some(Error::PortTaken {
                address: SocketAddr::new(addresses[0], port),
                protocol: request.protocol,
                holder: Some(holder),
            });
            continue;
        }
        match reserve_on(request, addresses, port) {
            Err(error @ Error::PortTaken { .. }) => last = Some(error),
            done => return done,
        }
    }
    Err(last.unwrap_or_else(|| Error::Invalid(format!("{low} to {high} is no range of ports"))))
}

/// One port on all addresses. Which one, where it is 0, the kernel says for the first.
fn reserve_on(
    request: &PortRequest,
    addresses: &[IpAddr],
    mut port: u16,
) -> Result<Vec<Reservation>> {
    let mut reserved = Vec::new();
    for &address in addresses {
        let at = SocketAddr::new(address, port);
        let socket = match bound(request.protocol, at) {
            Ok(socket) => socket,
            // A host without IPv6 has nobody to be kept from that port.
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if !reserved.is_empty() => continue,
            Err(errno) => return Err(refusal(request.protocol, at, errno)),
        };
        if port == 0
            && let Some(socket) = &socket
        {
            port = port_of(socket).map_err(|errno| refusal(request.protocol, at, errno))?;
        }
        reserved.push(Reservation {
            published: Published {
                protocol: request.protocol,
                inside: request.inside,
                address,
                port,
            },
            socket,
        });
    }
    Ok(reserved)
}

fn refusal(protocol: Protocol, address: SocketAddr, errno: Errno) -> Error {
    match errno {
        Errno::ADDRINUSE => Error::PortTaken {
            address,
            protocol,
            holder: holder::of(protocol, address.port()),
        },
        Errno::ADDRNOTAVAIL => Error::Invalid(format!(
            "cannot publish a port on {}: this host has no such address",
            address.ip()
        )),
        _ => Error::Kernel {
            what: format!("bind port {address}/{protocol}"),
            source: io::Error::from(errno),
        },
    }
}

/// A socket that is bound; `None` where the kernel knows no sockets of the protocol, and the rule alone must do.
fn bound(protocol: Protocol, address: SocketAddr) -> rustix::io::Result<Option<OwnedFd>> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, Some(ipproto::TCP)),
        Protocol::Udp => (SocketType::DGRAM, Some(ipproto::UDP)),
        Protocol::Sctp => (SocketType::STREAM, Some(ipproto::SCTP)),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = match socket_with(family, kind, flags, number) {
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) if protocol == Protocol::Sctp => {
            return Ok(None);
        }
        socket => socket?,
    };
    if family == AddressFamily::INET6 {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol != Protocol::Udp {
        // Connections that linger after their end do not hold the port.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &address)?;
    if protocol != Protocol::Udp {
        listen(&socket, BACKLOG)?;
    }
    Ok(Some(socket))
}

fn port_of(socket: &OwnedFd) -> rustix::io::Result<u16> {
    let address = SocketAddr::try_from(getsockname(socket)?);
    address
        .map(|address| address.port())
        .map_err(|_| Errno::INVAL)
}

/// Ports of ours are known better than by a process, and SCTP's maybe by no socket.
fn holder_of_ours(
    protocol: Protocol,
    addresses: &[IpAddr],
    port: u16,
    taken: &[Translation],
    just_now: &[Reservation],
) -> Option<String> {
    let meets = |published: &Published| {
        published.protocol == protocol
            && published.port == port
            && port != 0
            && addresses
                .iter()
                .any(|address| clash(*address, published.address))
    };
    let before = taken.iter().find(|one| meets(&one.published));
    before.map(|one| one.owner.clone()).or_else(|| {
        let twice = just_now.iter().any(|one| meets(&one.published));
        twice.then(|| "the same request".to_owned())
    })
}

fn clash(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
        && (one == other || one.is_unspecified() || other.is_unspecified())
}
