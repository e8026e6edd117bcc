//! A network namespace that endpoints are attached to.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use proa_kernel::netlink::{LinkChange, Request, Route, VethOptions};
use proa_kernel::network::NetworkNamespace;

use crate::sysctl::{self, Switch};
use crate::{Error, Result, bridge};

/// The index of `lo` (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

/// The name inside of an interface that is made ahead.
pub(crate) const FIRST_INTERFACE: &str = "eth0";

/// A network namespace with its loopback interface up, held open by its descriptor: it lasts until this is dropped and
/// no process is inside.
#[derive(Debug)]
pub struct Sandbox {
    namespace: NetworkNamespace,
    /// Opened inside: this is how interfaces there are changed without going there.
    inside: Route,
    /// What was made ahead, until it is used.
    wire: Mutex<Option<Wire>>,
}

/// A veth pair that waits for its network: both ends are up, neither has an address.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) host_name: String,
    pub(crate) host_index: u32,
    pub(crate) index: u32,
    /// Off while no network with IPv6 is attached.
    pub(crate) ipv6_off: Option<Switch>,
}

impl Sandbox {
    /// A namespace with `lo` up and IPv6 off on interfaces to come.
    pub(crate) fn create() -> Result<Sandbox> {
        Sandbox::create_with(|_| Ok(None))
    }

    /// The same with a wire, whose other end has this name in the namespace `host`.
    pub(crate) fn create_wired(host: &NetworkNamespace, host_name: &str) -> Result<Sandbox> {
        Sandbox::create_with(|inside| lay_wire(inside, host, host_name).map(Some))
    }

    fn create_with(first: impl FnOnce(&Route) -> Result<Option<Wire>> + Send) -> Result<Sandbox> {
        let made = NetworkNamespace::create_with(|| {
            Ok(Route::open()
                .map_err(Error::from)
                .and_then(|inside| prepare(&inside).and_then(|()| Ok((first(&inside)?, inside)))))
        });
        let (namespace, made) = made.map_err(|source| Error::Kernel {
            what: "create a network namespace".into(),
            source,
        })?;
        let (wire, inside) = made?;
        Ok(Sandbox {
            namespace,
            inside,
            wire: Mutex::new(wire),
        })
    }

    /// One that is there already.
    pub(crate) fn around(namespace: NetworkNamespace) -> Result<Sandbox> {
        let inside = Route::open_in(&namespace)?;
        Ok(Sandbox {
            namespace,
            inside,
            wire: Mutex::new(None),
        })
    }

    /// The door to the interfaces inside.
    pub(crate) fn inside(&self) -> &Route {
        &self.inside
    }

    /// What was made ahead, for the one who asks first.
    pub(crate) fn take_wire(&self) -> Option<Wire> {
        self.wire
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Whether something was made ahead and is not used yet.
    pub(crate) fn is_wired(&self) -> bool {
        let wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        wire.is_some()
    }

    /// Switches IPv6 on or off on an interface inside.
    pub(crate) fn switch_ipv6(&self, interface: &str, on: bool) -> Result<()> {
        let written = self.namespace.inside(|| Ok(set_ipv6(interface, on)));
        written.unwrap_or_else(|source| {
            Err(Error::Kernel {
                what: format!("enter the network namespace to switch IPv6 of {interface}"),
                source,
            })
        })
    }

    /// Another hold on the same namespace.
    pub fn namespace(&self) -> Result<NetworkNamespace> {
        self.namespace.try_clone().map_err(|source| Error::Kernel {
            what: "hold a network namespace".into(),
            source,
        })
    }
}

impl AsFd for Sandbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}

impl From<Sandbox> for OwnedFd {
    fn from(sandbox: Sandbox) -> OwnedFd {
        sandbox.namespace.into()
    }
}

/// What is the same in every namespace. Router advertisements could move the default route, and looking for duplicates
/// keeps a link-local address unusable for a second.
fn prepare(inside: &Route) -> Result<()> {
    let up = LinkChange {
        up: Some(true),
        ..LinkChange::default()
    };
    inside.run(&[Request::set(LOOPBACK, &up)])?;
    for (name, value) in [
        ("ipv6/conf/default/disable_ipv6", "1"),
        ("ipv6/conf/default/accept_ra", "0"),
        ("ipv6/conf/default/accept_dad", "0"),
        // As Docker's users expect: any process may listen on port 80 and ping.
        ("ipv4/ip_unprivileged_port_start", "0"),
        ("ipv4/ping_group_range", "0\t2147483647"),
    ] {
        sysctl::set_where_known(name, value)?;
    }
    Ok(())
}

fn lay_wire(inside: &Route, host: &NetworkNamespace, host_name: &str) -> Result<Wire> {
    inside.run(&[Request::add_veth(
        FIRST_INTERFACE,
        &VethOptions {
            up: true,
            peer_name: host_name,
            peer_namespace: Some(host.as_fd()),
            ..VethOptions::default()
        },
    )])?;
    let link = bridge::existing(inside, FIRST_INTERFACE)?;
    Ok(Wire {
        host_name: host_name.to_owned(),
        host_index: link.parent.unwrap_or_default(),
        index: link.index,
        ipv6_off: Switch::open(&format!("ipv6/conf/{FIRST_INTERFACE}/disable_ipv6")),
    })
}

fn set_ipv6(interface: &str, on: bool) -> Result<()> {
    if on {
        sysctl::set_where_known(&format!("ipv6/conf/{interface}/accept_ra"), "0")?;
        sysctl::set_where_known(&format!("ipv6/conf/{interface}/accept_dad"), "0")?;
    }
    let off = if on { "0" } else { "1" };
    sysctl::set_where_known(&format!("ipv6/conf/{interface}/disable_ipv6"), off)
}
