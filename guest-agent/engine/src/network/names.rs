//! Names: what a container is called in its networks, and who answers its questions about others.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
    sync::Arc,
};

use proa_networks::names::{Client, Entry, Membership, Sockets, serve};
use proa_protocol::{EndpointSettings, HostConfig};

use super::{DEFAULT, Joint, Networks, Place, Record};
use crate::{
    Result,
    container::{definition::Definition, files::split_link},
    engine::{Kept, lock},
    error::Context,
    id::Id,
};

/// Where name servers listen.
const PORT: u16 = 53;

/// Names that programs look for the host by.
pub(crate) const HOST_NAMES: [&str; 2] = ["host.docker.internal", "host.proa.internal"];

/// The names that others find it by, as Docker chooses them: its own, its aliases, its short id, its host name. None
/// on the default network.
pub(crate) fn of(
    definition: &Definition,
    record: &Record,
    settings: &EndpointSettings,
) -> Vec<String> {
    if record.name == DEFAULT || !record.is_wired() {
        return Vec::new();
    }
    let mut names = vec![definition.name.clone()];
    names.extend(settings.aliases.iter().flatten().cloned());
    names.push(definition.id.short().to_owned());
    names.push(definition.config.hostname.clone());
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// What a container calls others in one network: its word, and theirs.
pub(super) fn links(settings: &EndpointSettings) -> BTreeMap<String, String> {
    let links = settings.links.iter().flatten();
    let pair = |link: &String| {
        let (name, alias) = split_link(link);
        (alias.to_ascii_lowercase(), name.to_ascii_lowercase())
    };
    links.map(pair).collect()
}

fn client(host: &HostConfig, place: &Place) -> Client {
    let named = place.joints.iter().filter(|joint| joint.network != DEFAULT);
    let membership = |joint: &Joint| Membership {
        network: joint.endpoint.network.clone(),
        links: joint.links.clone(),
    };
    let gateway = place.host_address();
    let server = |text: &String| Some(SocketAddr::new(text.parse().ok()?, PORT));
    Client {
        networks: named.map(membership).collect(),
        hosts: gateway
            .into_iter()
            .flat_map(|gateway| HOST_NAMES.map(|name| (name.to_owned(), vec![gateway])))
            .collect(),
        servers: host.dns.iter().flatten().filter_map(server).collect(),
        forward: place.joints.iter().any(|joint| !joint.internal),
    }
}

impl Networks {
    /// Makes a container's names known where it is, and what it asks answered accordingly.
    pub(crate) fn name(&self, definition: &Definition, place: &Place) {
        for joint in place.joints.iter().filter(|joint| !joint.names.is_empty()) {
            let endpoint = &joint.endpoint;
            let v4 = endpoint.ipv4.map(|address| IpAddr::from(address.addr()));
            let v6 = endpoint.ipv6.map(|address| IpAddr::from(address.addr()));
            let entry = Entry {
                names: joint.names.clone(),
                addresses: v4.into_iter().chain(v6).collect(),
            };
            self.names.name_network(&endpoint.network, &joint.network);
            self.names
                .set(&endpoint.network, definition.id.as_str(), entry);
        }
        if let Some(wires) = lock(&self.wires).get(&definition.id)
            && let Some(server) = &wires.server
        {
            server.change(client(&definition.host, place));
        }
    }

    /// Answers a container's questions from now on, if it is where names are answered.
    pub(crate) fn answer(
        &self,
        namespace: &impl AsFd,
        definition: &Definition,
        place: &Place,
    ) -> Result<()> {
        if !place.has_names() || self.is_answered(&definition.id) {
            return Ok(());
        }
        let attempt = || format!("answer names in container {}", definition.id);
        let sockets = Sockets::open(namespace).context(attempt)?;
        let (udp, tcp) = sockets.descriptors();
        for (kind, socket) in [("udp", udp), ("tcp", tcp)] {
            let name = socket_name(&definition.id, kind);
            let kept = self.keeper.get_ref().keep(&name, socket);
            kept.context(attempt)?;
        }
        self.answer_at(sockets, definition, place)
    }

    /// The same at sockets of an earlier process.
    pub(super) fn answer_again(&self, kept: &mut Kept, definition: &Definition, place: &Place) {
        self.name(definition, place);
        let mut socket = |kind| kept.remove(&socket_name(&definition.id, kind));
        let (Some(udp), Some(tcp)) = (socket("udp"), socket("tcp")) else {
            if place.has_names() {
                tracing::error!(id = %definition.id, "the sockets for names are gone");
            }
            return;
        };
        let answered = self.answer_at(Sockets::adopt(udp, tcp), definition, place);
        if let Err(error) = answered {
            tracing::error!(error = error.told(), "names are not answered");
        }
    }

    fn answer_at(&self, sockets: Sockets, definition: &Definition, place: &Place) -> Result<()> {
        let client = client(&definition.host, place);
        let names = Arc::clone(&self.names);
        let upstreams = Arc::clone(&self.upstreams);
        let server = serve(sockets, client, names, upstreams)
            .context(|| format!("answer names in container {}", definition.id))?;
        let mut wires = lock(&self.wires);
        wires.entry(definition.id.clone()).or_default().server = Some(server);
        Ok(())
    }

    fn is_answered(&self, container: &Id) -> bool {
        let wires = lock(&self.wires);
        wires
            .get(container)
            .is_some_and(|wires| wires.server.is_some())
    }

    /// Forgets what a container is called in a network.
    pub(super) fn unname(&self, definition: &Definition, network: &str) {
        self.names.remove(network, definition.id.as_str());
    }

    /// Nobody asks any more.
    pub(super) fn fall_silent(&self, definition: &Definition, place: &Place) {
        if !place.has_names() && !self.is_answered(&definition.id) {
            return;
        }
        for kind in ["udp", "tcp"] {
            // The keeper is gone only when the process ends.
            let _ = self
                .keeper
                .get_ref()
                .release(&socket_name(&definition.id, kind));
        }
    }
}

/// The keeper's name for a socket that names are answered at.
fn socket_name(container: &Id, kind: &str) -> String {
    format!("dns/{container}/{kind}")
}
