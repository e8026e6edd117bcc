//! Joining a namespace to a network.

use std::os::fd::AsFd;

use ipnet::IpNet;
use proa_kernel::netlink::{
    self, IpvlanMode, LinkChange, MacvlanMode, PortChange, Request, Route, SubLink, VethOptions,
};
use rustix::io::Errno;

use crate::interface::Interfaces;
use crate::sandbox::FIRST_INTERFACE;
use crate::{Driver, Endpoint, Error, Network, Result, Sandbox, bridge, sysctl};

/// How often a new interface gets another name when its first is somebody's.
const ATTEMPTS: usize = 3;

/// One endpoint on its way into a namespace.
pub(crate) struct Attachment<'a> {
    pub(crate) host: &'a Route,
    pub(crate) names: &'a Interfaces,
    pub(crate) network: &'a Network,
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) default_route: bool,
}

/// An interface that is in the namespace already.
struct Inside {
    index: u32,
    /// Whether it is the first one there, so that nothing can be in its way.
    first: bool,
}

impl Attachment<'_> {
    /// Makes the interface and gives it its addresses; says in `endpoint` which its other end is.
    pub(crate) fn attach(&self, endpoint: &mut Endpoint) -> Result<()> {
        match &self.network.driver {
            Driver::Bridge(options) => self.attach_to_bridge(endpoint, options.mtu),
            Driver::Macvlan { mode, .. } => {
                let mode = macvlan_mode(mode)?;
                self.attach_to_parent(endpoint, |link| Request::add_macvlan(mode, link))
            }
            Driver::Ipvlan { mode, .. } => {
                let mode = ipvlan_mode(mode)?;
                self.attach_to_parent(endpoint, |link| Request::add_ipvlan(mode, link))
            }
        }
    }

    fn attach_to_bridge(&self, endpoint: &mut Endpoint, mtu: Option<u32>) -> Result<()> {
        let bridge = bridge::existing(self.host, &self.network.interface)?.index;
        if endpoint.interface != FIRST_INTERFACE {
            self.discard_wire()?;
        } else if let Some(wire) = self.sandbox.take_wire() {
            endpoint.host_interface = Some(wire.host_name.clone());
            let change = LinkChange {
                master: Some(bridge),
                mtu,
                ..LinkChange::default()
            };
            let port = self.port();
            let joined = self.host.run(&[
                Request::set(wire.host_index, &change),
                Request::set_port(wire.host_index, &port),
            ]);
            joined.map_err(|error| self.refused(error))?;
            let inside = Inside {
                index: wire.index,
                first: true,
            };
            return self.configure(endpoint, &inside, mtu, |_| {
                wire.ipv6_off.map_or(Ok(()), |switch| switch.set("0"))
            });
        }
        let name = self.lay_wire(endpoint, bridge, mtu)?;
        endpoint.host_interface = Some(name.clone());
        let index = bridge::existing(self.host, &name)?.index;
        self.host.run(&[Request::set_port(index, &self.port())])?;
        self.configure_new(endpoint, mtu)
    }

    /// Where bridges show their packets to netfilter, a translation that leads back to its sender goes through the port
    /// twice, and the firewall keeps neighbours apart that shall not talk; elsewhere the bridge must do that.
    fn port(&self) -> PortChange {
        let apart = match &self.network.driver {
            Driver::Bridge(options) => !options.between_endpoints,
            Driver::Macvlan { .. } | Driver::Ipvlan { .. } => false,
        };
        let filtered = || {
            sysctl::value("bridge/bridge-nf-call-iptables").as_deref() == Some("1")
                && sysctl::value("bridge/bridge-nf-call-ip6tables").as_deref() == Some("1")
        };
        PortChange {
            hairpin: Some(true),
            isolated: Some(apart && !filtered()),
        }
    }

    /// What was made ahead and does not serve this endpoint would be an interface too many, maybe with its name.
    fn discard_wire(&self) -> Result<()> {
        match self.sandbox.take_wire() {
            Some(wire) => Ok(self.sandbox.inside().remove_link(wire.index)?),
            None => Ok(()),
        }
    }

    /// A veth pair made whole in one step, so that dying here leaves all of it or nothing.
    fn lay_wire(&self, endpoint: &Endpoint, bridge: u32, mtu: Option<u32>) -> Result<String> {
        for attempt in 1.. {
            let name = self.names.of_veth();
            let options = VethOptions {
                master: Some(bridge),
                mtu,
                up: true,
                peer_name: &endpoint.interface,
                peer_namespace: Some(self.sandbox.as_fd()),
                peer_mac: Some(endpoint.mac.0),
                ..VethOptions::default()
            };
            match self.host.add_veth(&name, &options) {
                Err(error) if error.is_present() && attempt < ATTEMPTS => {}
                made => return made.map(|()| name).map_err(|error| self.refused(error)),
            }
        }
        Err(Error::Invalid("no name is left for an interface".into()))
    }

    /// A bridge has 1,023 ports (`BR_MAX_PORTS`), and says `EXFULL` to more.
    fn refused(&self, error: netlink::Error) -> Error {
        if error.source.raw_os_error() == Some(Errno::XFULL.raw_os_error()) {
            return Error::Invalid(format!(
                "network {} has as many endpoints as a bridge can hold",
                self.network.name
            ));
        }
        error.into()
    }

    fn attach_to_parent(
        &self,
        endpoint: &Endpoint,
        request: impl Fn(&SubLink<'_>) -> Request,
    ) -> Result<()> {
        self.discard_wire()?;
        let parent = bridge::existing(self.host, &self.network.interface)?;
        let shares_mac = matches!(self.network.driver, Driver::Ipvlan { .. });
        let link = SubLink {
            name: &endpoint.interface,
            parent: parent.index,
            namespace: Some(self.sandbox.as_fd()),
            mac: (!shares_mac).then_some(endpoint.mac.0),
            up: true,
            ..SubLink::default()
        };
        self.host.run(&[request(&link)])?;
        self.configure_new(endpoint, None)
    }

    fn configure_new(&self, endpoint: &Endpoint, mtu: Option<u32>) -> Result<()> {
        let link = bridge::existing(self.sandbox.inside(), &endpoint.interface)?;
        let inside = Inside {
            index: link.index,
            first: false,
        };
        self.configure(endpoint, &inside, mtu, |name| {
            self.sandbox.switch_ipv6(name, true)
        })
    }

    /// Addresses and routes, each family in one message. IPv6 is switched on only for a network that has it.
    fn configure(
        &self,
        endpoint: &Endpoint,
        inside: &Inside,
        mtu: Option<u32>,
        ipv6_on: impl FnOnce(&str) -> Result<()>,
    ) -> Result<()> {
        let door = self.sandbox.inside();
        if self.default_route && !inside.first {
            clear_default_routes(door, endpoint)?;
        }
        let mut requests = Vec::with_capacity(3);
        let change = LinkChange {
            mac: inside.first.then_some(endpoint.mac.0),
            mtu,
            up: Some(true),
            ..LinkChange::default()
        };
        requests.push(Request::set(inside.index, &change));
        if let Some(address) = endpoint.ipv4 {
            requests.push(Request::add_address(inside.index, address.into(), true));
            requests.extend(self.default_route4(endpoint, inside.index));
        }
        door.run(&requests)?;
        let Some(address) = endpoint.ipv6 else {
            return Ok(());
        };
        ipv6_on(&endpoint.interface)?;
        let mut requests = vec![Request::add_address(inside.index, address.into(), true)];
        requests.extend(self.default_route6(endpoint, inside.index));
        Ok(door.run(&requests)?)
    }

    fn default_route4(&self, endpoint: &Endpoint, index: u32) -> Option<Request> {
        let gateway = endpoint.gateway4.filter(|_| self.default_route)?;
        let via = (!self.is_routed()).then_some(gateway.into());
        Some(Request::add_route(everywhere(true), via, index))
    }

    fn default_route6(&self, endpoint: &Endpoint, index: u32) -> Option<Request> {
        let gateway = endpoint.gateway6.filter(|_| self.default_route)?;
        let via = (!self.is_routed()).then_some(gateway.into());
        Some(Request::add_route(everywhere(false), via, index))
    }

    /// Of ipvlan's layer 3 modes the parent's namespace is the router itself: there is no neighbour to send to.
    fn is_routed(&self) -> bool {
        match &self.network.driver {
            Driver::Ipvlan { mode, .. } => mode.starts_with("l3"),
            Driver::Bridge(_) | Driver::Macvlan { .. } => false,
        }
    }
}

/// Lets packets to elsewhere leave by an endpoint that is there.
pub(crate) fn route_through(sandbox: &Sandbox, endpoint: &Endpoint) -> Result<()> {
    let door = sandbox.inside();
    let index = bridge::existing(door, &endpoint.interface)?.index;
    clear_default_routes(door, endpoint)?;
    let gateway4 = endpoint.gateway4.map(|gateway| (true, gateway.into()));
    let gateway6 = endpoint.gateway6.map(|gateway| (false, gateway.into()));
    let routes = gateway4.into_iter().chain(gateway6);
    let requests: Vec<Request> = routes
        .map(|(v4, gateway)| Request::add_route(everywhere(v4), Some(gateway), index))
        .collect();
    Ok(door.run(&requests)?)
}

/// Makes room for an endpoint's default routes, of the families where it has one.
fn clear_default_routes(door: &Route, endpoint: &Endpoint) -> Result<()> {
    let replaced = |to: &IpNet| match to {
        IpNet::V4(_) => endpoint.gateway4.is_some(),
        IpNet::V6(_) => endpoint.gateway6.is_some(),
    };
    for path in door.routes()? {
        if path.to.prefix_len() == 0
            && replaced(&path.to)
            && let Some(index) = path.index
        {
            door.remove_route(path.to, path.via, index)?;
        }
    }
    Ok(())
}

fn everywhere(v4: bool) -> IpNet {
    if v4 {
        IpNet::V4(ipnet::Ipv4Net::default())
    } else {
        IpNet::V6(ipnet::Ipv6Net::default())
    }
}

fn macvlan_mode(mode: &str) -> Result<MacvlanMode> {
    match mode {
        "" | "bridge" => Ok(MacvlanMode::Bridge),
        "private" => Ok(MacvlanMode::Private),
        "vepa" => Ok(MacvlanMode::Vepa),
        "passthru" => Ok(MacvlanMode::Passthru),
        _ => Err(Error::Invalid(format!("macvlan has no mode {mode:?}"))),
    }
}

fn ipvlan_mode(mode: &str) -> Result<IpvlanMode> {
    match mode {
        "" | "l2" => Ok(IpvlanMode::L2),
        "l3" => Ok(IpvlanMode::L3),
        "l3s" => Ok(IpvlanMode::L3s),
        _ => Err(Error::Invalid(format!("ipvlan has no mode {mode:?}"))),
    }
}

/// Checks the mode of a network that is asked for.
pub(crate) fn check_mode(driver: &Driver) -> Result<()> {
    match driver {
        Driver::Bridge(_) => Ok(()),
        Driver::Macvlan { mode, .. } => macvlan_mode(mode).map(drop),
        Driver::Ipvlan { mode, .. } => ipvlan_mode(mode).map(drop),
    }
}
