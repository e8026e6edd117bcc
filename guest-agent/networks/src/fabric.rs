//! Everything of networks on one host.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use ipnet::IpNet;
use proa_kernel::netlink::Route;
use proa_kernel::network::NetworkNamespace;

use crate::address::{Taken, plan};
use crate::attach::{self, Attachment};
use crate::firewall::Firewall;
use crate::foreign::Foreign;
use crate::interface::Interfaces;
use crate::prepared::{Kind, Prepared};
use crate::state::State;
use crate::{
    Driver, Endpoint, EndpointRequest, Error, Network, NetworkRequest, Rate, Result, Sandbox,
    Settings, bridge, sysctl,
};

/// All networks, endpoints and published ports of one engine. Its functions block for what the kernel needs.
///
/// It belongs to the network namespace in which it was opened; whoever calls it is there too.
#[derive(Debug)]
pub struct Fabric {
    pub(crate) settings: Settings,
    pub(crate) names: Interfaces,
    pub(crate) host: Mutex<Route>,
    pub(crate) firewall: Firewall,
    pub(crate) foreign: Foreign,
    pub(crate) state: Mutex<State>,
    /// Networks come and go one after the other.
    pub(crate) changing: Mutex<()>,
    prepared: OnceLock<Prepared>,
    /// Namespaces of endpoints, by the endpoint's id: what keeps the kernel from taking them down at a bad time.
    held: Mutex<BTreeMap<String, NetworkNamespace>>,
}

/// How many namespaces are held; of more, the kernel chooses the time.
const MOST_HELD: usize = 256;

impl Fabric {
    /// Looks at the host; makes nothing yet.
    pub fn open(settings: Settings) -> Result<Fabric> {
        Ok(Fabric {
            names: Interfaces::new(&settings.prefix),
            host: Mutex::new(Route::open()?),
            firewall: Firewall::new(&settings.table),
            foreign: Foreign::new(&settings.table, settings.foreign_firewalls),
            state: Mutex::default(),
            changing: Mutex::default(),
            prepared: OnceLock::new(),
            held: Mutex::default(),
            settings,
        })
    }

    /// Makes a network.
    pub fn create(&self, request: &NetworkRequest) -> Result<Network> {
        attach::check_mode(&request.driver)?;
        bridge::check_kernel(&lock(&self.host), &request.driver)?;
        let _changing = lock(&self.changing);
        let network = self.plan(request)?;
        self.lock_state().admit(network.clone());
        let raised = self.raise(&network);
        if let Err(error) = raised.and_then(|()| self.firewall.admit(&network)) {
            self.take_down(&network).ok();
            return Err(error);
        }
        self.settle();
        Ok(network)
    }

    /// A firewall that does not let us in is its owner's to mend, and no reason not to have networks.
    pub(crate) fn settle(&self) {
        if let Err(error) = self.foreign.settle(&self.bridges()) {
            tracing::warn!(%error, "another firewall on this host may drop packets of our networks");
        }
    }

    /// What of ours is in other firewalls of this host, and what should be and is not: sentences for people.
    pub fn foreign_firewalls(&self) -> Result<Vec<String>> {
        self.foreign.report(&self.bridges())
    }

    fn bridges(&self) -> Vec<String> {
        let state = self.lock_state();
        let networks = state.networks.values().map(|member| &member.network);
        networks
            .filter(|network| matches!(network.driver, Driver::Bridge(_)))
            .map(|network| network.interface.clone())
            .collect()
    }

    fn plan(&self, request: &NetworkRequest) -> Result<Network> {
        let state = self.lock_state();
        let mut taken = state.subnets();
        taken.extend(self.routes(&state)?);
        let network = Network {
            id: request.id.clone(),
            name: request.name.clone(),
            driver: request.driver.clone(),
            pools: plan(request, &self.settings.pools, &taken)?,
            internal: request.internal,
            interface: bridge::interface_of(&request.id, &request.driver, &self.names)?,
        };
        let same = |other: &&Network| {
            other.interface == network.interface && matches!(network.driver, Driver::Bridge(_))
        };
        match state
            .networks
            .values()
            .map(|member| &member.network)
            .find(same)
        {
            Some(other) => Err(Error::Invalid(format!(
                "interface {} is network {}'s",
                network.interface, other.name
            ))),
            None => Ok(network),
        }
    }

    /// The host's routes that are not our networks'.
    fn routes(&self, state: &State) -> Result<Vec<Taken>> {
        let networks: BTreeSet<IpNet> = state
            .networks
            .values()
            .filter(|member| matches!(member.network.driver, Driver::Bridge(_)))
            .flat_map(|member| member.network.pools.iter().map(|pool| pool.subnet))
            .collect();
        let host = lock(&self.host);
        let mut names = BTreeMap::new();
        let mut taken = Vec::new();
        for path in host.routes()? {
            let Some(index) = path.index else { continue };
            if path.to.prefix_len() == 0 || networks.contains(&path.to) {
                continue;
            }
            let holder = match names.entry(index) {
                Entry::Occupied(name) => name.into_mut(),
                Entry::Vacant(place) => {
                    let link = host.link_at(index)?;
                    place.insert(link.map_or_else(|| "a route".into(), |link| link.name))
                }
            };
            taken.push(Taken {
                subnet: path.to,
                holder: holder.clone(),
                route: true,
            });
        }
        Ok(taken)
    }

    /// Makes the kernel's side of a network, or what is missing of it.
    pub(crate) fn raise(&self, network: &Network) -> Result<()> {
        if matches!(network.driver, Driver::Bridge(_)) {
            forward(network)?;
        }
        let host = lock(&self.host);
        bridge::raise(&host, network, &self.names, &self.settings.engine)
    }

    /// Removes a network, which may have no endpoints.
    pub fn remove(&self, network: &str) -> Result<()> {
        let _changing = lock(&self.changing);
        let network = self.lock_state().unused_network(network)?;
        self.end_all();
        self.take_down(&network)
    }

    /// Undoes all of a network, and with the last one everything that was made for all. What fails keeps nothing else
    /// from being undone.
    fn take_down(&self, network: &Network) -> Result<()> {
        if matches!(network.driver, Driver::Bridge(_))
            && let Err(error) = self.foreign.dismiss(&network.interface)
        {
            tracing::warn!(%error, network = network.name, "a removed bridge may still be named elsewhere");
        }
        let shared = {
            let mut state = self.lock_state();
            state.networks.remove(&network.id);
            let mut others = state.networks.values();
            others.any(|other| other.network.interface == network.interface)
        };
        let lowered = if shared {
            Ok(())
        } else {
            let (names, engine) = (&self.names, &self.settings.engine);
            bridge::lower(&lock(&self.host), network, names, engine)
        };
        let state = self.lock_state();
        let dismissed = if state.networks.is_empty() {
            self.foreign.leave().and(self.firewall.remove())
        } else {
            self.firewall.dismiss(network, &state)
        };
        lowered.and(dismissed)
    }

    /// A new namespace, in which a veth pair waits for [`Fabric::attach`].
    pub fn sandbox(&self) -> Result<Sandbox> {
        self.prepared()?.take(Kind::Wired)
    }

    /// A new namespace with a loopback interface and nothing else.
    pub fn bare_sandbox(&self) -> Result<Sandbox> {
        self.prepared()?.take(Kind::Bare)
    }

    /// The namespace that a running process is in.
    pub fn sandbox_of(&self, pid: u32) -> Result<Sandbox> {
        let namespace = NetworkNamespace::of_process(pid).map_err(|source| Error::Kernel {
            what: format!("open the network namespace of process {pid}"),
            source,
        })?;
        Sandbox::around(namespace)
    }

    /// Makes namespaces ready before the first is asked for.
    pub fn prepare(&self) -> Result<()> {
        let prepared = self.prepared()?;
        prepared.want(Kind::Wired);
        prepared.want(Kind::Bare);
        Ok(())
    }

    fn prepared(&self) -> Result<&Prepared> {
        if let Some(prepared) = self.prepared.get() {
            return Ok(prepared);
        }
        let host = NetworkNamespace::current().map_err(|source| Error::Kernel {
            what: "open the host's network namespace".into(),
            source,
        })?;
        let started = Prepared::start(&self.names, host, self.settings.prepared)?;
        Ok(self.prepared.get_or_init(|| started))
    }

    /// Joins a namespace to a network.
    pub fn attach(&self, sandbox: &Sandbox, request: &EndpointRequest) -> Result<Endpoint> {
        if request.ipv4.is_some() || request.ipv6.is_some() {
            // Its last owner's namespace must not answer in its name any more.
            self.end_all();
        }
        let made_ahead = sandbox.is_wired();
        let (mut endpoint, network) = {
            let mut state = self.lock_state();
            let endpoint = state.reserve(request)?;
            (endpoint, state.network(&request.network)?.clone())
        };
        let attached = {
            let host = lock(&self.host);
            Attachment {
                host: &host,
                names: &self.names,
                network: &network,
                sandbox,
                default_route: request.default_route,
            }
            .attach(&mut endpoint)
        };
        let attached = attached.and_then(|()| self.limit(sandbox, &endpoint, endpoint.rate));
        if let Err(error) = attached {
            self.detach(Some(sandbox), &endpoint).ok();
            return Err(error);
        }
        if made_ahead {
            self.hold(sandbox, &endpoint)?;
        }
        let mut state = self.lock_state();
        state
            .endpoints
            .insert(endpoint.id.clone(), endpoint.clone());
        Ok(endpoint)
    }

    /// Takes a namespace out of a network; without one it is gone already, and only the address is taken back.
    pub fn detach(&self, sandbox: Option<&Sandbox>, endpoint: &Endpoint) -> Result<()> {
        let removed = match (sandbox, &endpoint.host_interface) {
            (Some(_), Some(name)) => lock(&self.host).remove_link_named(name),
            (Some(sandbox), None) => sandbox.inside().remove_link_named(&endpoint.interface),
            // The interface goes with its namespace, which the kernel takes down when nobody waits.
            (None, _) => Ok(()),
        };
        self.lock_state().release(endpoint);
        let held = lock(&self.held).remove(&endpoint.id);
        if let (Some(namespace), Some(prepared)) = (held, self.prepared.get()) {
            prepared.end(namespace);
        }
        match removed {
            Err(error) if !error.is_missing() => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn hold(&self, sandbox: &Sandbox, endpoint: &Endpoint) -> Result<()> {
        let mut held = lock(&self.held);
        if held.len() < MOST_HELD {
            held.insert(endpoint.id.clone(), sandbox.namespace()?);
        }
        Ok(())
    }

    fn end_all(&self) {
        if let Some(prepared) = self.prepared.get() {
            prepared.end_all();
        }
    }

    /// Lets packets to elsewhere leave by this endpoint from now on, as after a disconnect of the one before.
    pub fn route_through(&self, sandbox: &Sandbox, endpoint: &Endpoint) -> Result<()> {
        attach::route_through(sandbox, endpoint)
    }

    /// Changes an endpoint's limits: what comes in is limited at the host's end, what goes out at the one inside.
    pub fn limit(&self, sandbox: &Sandbox, endpoint: &Endpoint, rate: Rate) -> Result<()> {
        let door = sandbox.inside();
        if rate.egress != endpoint.rate.egress || rate.egress.is_some() {
            let index = bridge::existing(door, &endpoint.interface)?.index;
            limit(door, index, rate.egress)?;
        }
        if rate.ingress != endpoint.rate.ingress || rate.ingress.is_some() {
            let Some(name) = &endpoint.host_interface else {
                return Err(Error::Unsupported(format!(
                    "what comes in by {} cannot be limited: the host has no end of it",
                    endpoint.interface
                )));
            };
            let host = lock(&self.host);
            let index = bridge::existing(&host, name)?.index;
            limit(&host, index, rate.ingress)?;
        }
        Ok(())
    }

    pub(crate) fn lock_state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Nothing in here is left half done by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn limit(door: &Route, index: u32, rate: Option<u64>) -> Result<()> {
    match rate {
        Some(rate) => door.limit_egress(index, rate)?,
        None => match door.remove_limit(index) {
            Err(error) if !error.is_missing() => return Err(error.into()),
            _ => {}
        },
    }
    Ok(())
}

/// The host must pass on packets. With IPv6 a host that does so no longer listens to routers' advertisements, unless
/// told twice (`accept_ra` 2): it must not lose its own way out.
fn forward(network: &Network) -> Result<()> {
    if sysctl::value("ipv4/ip_forward").as_deref() != Some("1") {
        sysctl::set("ipv4/ip_forward", "1")?;
    }
    let ipv6 = network.pools.iter().any(|pool| pool.gateway.is_ipv6());
    if !ipv6 || sysctl::value("ipv6/conf/all/forwarding").as_deref() == Some("1") {
        return Ok(());
    }
    for entry in std::fs::read_dir("/proc/sys/net/ipv6/conf")
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = format!(
            "ipv6/conf/{}/accept_ra",
            entry.file_name().to_string_lossy()
        );
        if sysctl::value(&name).as_deref() == Some("1") {
            sysctl::set_where_known(&name, "2")?;
        }
    }
    sysctl::set("ipv6/conf/all/forwarding", "1")
}
