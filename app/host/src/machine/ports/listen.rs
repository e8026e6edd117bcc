//! Opening a port of this host.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use proa_protocol::tunnel::Carrier;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

use super::wanted::{Inspected, Port};
use super::{Target, tcp, udp};
use crate::machine::guest::Guest;

/// Connections that wait to be accepted, as Docker's own proxy has it (`SOMAXCONN`, listen(2)).
const BACKLOG: i32 = 4096;

/// Why a port of this host is not open. The first words are Docker's, which clients look for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortError {
    /// Somebody else has it.
    #[error(
        "driver failed programming external connectivity on endpoint {container} ({id}): Bind for {port} failed: port is \
         already allocated{}", .holder.as_ref().map(|holder| format!(", by {holder}")).unwrap_or_default()
    )]
    Taken {
        /// The container's name.
        container: String,
        /// Its id.
        id: String,
        /// The address.
        port: SocketAddr,
        /// Who has it, where that can be seen.
        holder: Option<String>,
    },
    /// This user may not.
    #[error(
        "driver failed programming external connectivity on endpoint {container}: this user may not listen at port {port} \
         of this host; publish at a port above 1023, or allow it with `sudo sysctl \
         net.ipv4.ip_unprivileged_port_start={port}`"
    )]
    Privileged {
        /// The container's name.
        container: String,
        /// The port.
        port: u16,
    },
    /// Something else.
    #[error(
        "driver failed programming external connectivity on endpoint {container}: listen at {port} of this host: {source}"
    )]
    Failed {
        /// The container's name.
        container: String,
        /// The address.
        port: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}

impl PortError {
    pub(super) fn new(
        port: Port,
        found: &Inspected,
        holder: Option<String>,
        source: io::Error,
    ) -> Self {
        let (container, port) = (found.short_name(), port.address);
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken {
                container,
                id: found.id.clone(),
                port,
                holder,
            },
            io::ErrorKind::PermissionDenied => Self::Privileged {
                container,
                port: port.port(),
            },
            _ => Self::Failed {
                container,
                port,
                source,
            },
        }
    }
}

/// Opens `port`, and carries what comes to it to wherever `target` says.
pub(super) fn start(guest: Arc<Guest>, port: Port, target: Target) -> io::Result<AbortHandle> {
    let socket = match bound(port) {
        // A host without IPv6 has no such address to listen at, which nobody misses.
        Err(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL)
            if port.address.is_ipv6() && port.address.ip().is_unspecified() =>
        {
            return Ok(tokio::spawn(std::future::pending::<()>()).abort_handle());
        }
        other => other?,
    };
    let task = match port.carrier {
        Carrier::Tcp => {
            let listener = TcpListener::from_std(socket.into())?;
            tokio::spawn(tcp::serve(guest, listener, target))
        }
        Carrier::Udp => {
            let socket = UdpSocket::from_std(socket.into())?;
            tokio::spawn(udp::serve(guest, socket, target))
        }
    };
    Ok(task.abort_handle())
}

fn bound(port: Port) -> rustix::io::Result<OwnedFd> {
    let family = match port.address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let kind = match port.carrier {
        Carrier::Tcp => SocketType::STREAM,
        Carrier::Udp => SocketType::DGRAM,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    if port.address.is_ipv6() {
        // 0.0.0.0 has a listener of its own.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if port.carrier == Carrier::Tcp {
        // Connections of a container that ended may linger.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &port.address)?;
    if port.carrier == Carrier::Tcp {
        rustix::net::listen(&socket, BACKLOG)?;
    }
    Ok(socket)
}
