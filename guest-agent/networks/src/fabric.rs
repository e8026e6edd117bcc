//! Everything of networks on one host.

use std::os::fd::OwnedFd;

use tokio::task::JoinHandle;

use crate::{
    Endpoint, EndpointRequest, Error, Network, NetworkRequest, PortRequest, Published, Rate,
    Result, Sandbox, Settings,
};

/// All networks, endpoints and published ports of one engine. Its functions block for what the kernel needs.
#[derive(Debug)]
pub struct Fabric {
    #[allow(dead_code)]
    settings: Settings,
}

/// A published port and the socket that keeps others from taking it.
#[derive(Debug)]
pub struct Reservation {
    /// What is published where.
    pub published: Published,
    /// Bound, and listening where the protocol has that; none where the kernel knows no socket of the protocol.
    pub socket: Option<OwnedFd>,
}

fn not_yet<T>() -> Result<T> {
    Err(Error::Unsupported("networks are not built yet".into()))
}

impl Fabric {
    /// Looks at the host; makes nothing yet.
    pub fn open(settings: Settings) -> Result<Fabric> {
        Ok(Fabric { settings })
    }

    /// Takes up what an earlier process of this engine left in the kernel, makes again what is missing of it (all of
    /// it after a reboot), and removes what belongs to nobody.
    ///
    /// Ports are given as the endpoints they lead to and their reservations.
    pub fn restore(
        &self,
        _networks: Vec<Network>,
        _endpoints: Vec<Endpoint>,
        _ports: Vec<(Vec<Endpoint>, Vec<Published>)>,
    ) -> Result<()> {
        not_yet()
    }

    /// Makes a network.
    pub fn create(&self, _request: &NetworkRequest) -> Result<Network> {
        not_yet()
    }

    /// Removes a network, which may have no endpoints.
    pub fn remove(&self, _network: &str) -> Result<()> {
        not_yet()
    }

    /// A new namespace, in which a veth pair waits for [`Fabric::attach`].
    pub fn sandbox(&self) -> Result<Sandbox> {
        not_yet()
    }

    /// A new namespace with a loopback interface and nothing else.
    pub fn bare_sandbox(&self) -> Result<Sandbox> {
        not_yet()
    }

    /// The namespace that a running process is in.
    pub fn sandbox_of(&self, _pid: u32) -> Result<Sandbox> {
        not_yet()
    }

    /// Joins a namespace to a network.
    pub fn attach(&self, _sandbox: &Sandbox, _request: &EndpointRequest) -> Result<Endpoint> {
        not_yet()
    }

    /// Takes a namespace out of a network; without one it is gone already, and only the address is taken back.
    pub fn detach(&self, _sandbox: Option<&Sandbox>, _endpoint: &Endpoint) -> Result<()> {
        not_yet()
    }

    /// Lets packets to elsewhere leave by this endpoint from now on, as after a disconnect of the one before.
    pub fn route_through(&self, _sandbox: &Sandbox, _endpoint: &Endpoint) -> Result<()> {
        not_yet()
    }

    /// Changes an endpoint's limits.
    pub fn limit(&self, _sandbox: &Sandbox, _endpoint: &Endpoint, _rate: Rate) -> Result<()> {
        not_yet()
    }

    /// Publishes ports of a sandbox: binds each on the host, so that a taken one fails here, and translates to the first
    /// endpoint that the outside reaches, for each address family. All or none.
    ///
    /// An empty answer means that no endpoint has a way in, as on internal networks.
    pub fn publish(
        &self,
        _endpoints: &[Endpoint],
        _ports: &[PortRequest],
    ) -> Result<Vec<Reservation>> {
        not_yet()
    }

    /// Takes published ports back. Their sockets are whoever's who holds them.
    pub fn unpublish(&self, _ports: &[Published]) -> Result<()> {
        not_yet()
    }

    /// Carries what the kernel's translation cannot (`::1`, or IPv6 to an endpoint without it), as long as the task
    /// lives; its connections end with it. Must be called in a tokio runtime.
    pub fn serve_port(
        &self,
        _published: &Published,
        _socket: OwnedFd,
        _endpoints: &[Endpoint],
    ) -> Result<JoinHandle<()>> {
        not_yet()
    }

    /// What of ours is in other firewalls of this host, and what should be and is not: sentences for `doctor`.
    pub fn foreign_firewalls(&self) -> Vec<String> {
        Vec::new()
    }
}
