//! A container's place in its networks: taken before it starts, left when it ends.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use proa_networks::{
    Endpoint, EndpointRequest, Error as Refusal, Mac, PortRequest, Published, Sandbox,
};
use proa_protocol::{EndpointSettings, HostConfig};
use serde::{Deserialize, Serialize};

use super::{Active, DEFAULT, Networks, Record, names, ports, rate, settings, translate};
use crate::{
    Engine, Error, Result, container::definition::Definition, engine::lock, error::Context, id,
};

/// How long a released port's last socket may take to be closed.
const CLOSING: Duration = Duration::from_millis(300);

/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(5);

/// Where a live container is. Kept beside its running state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// In the order of joining.
    pub(crate) joints: Vec<Joint>,
    pub(crate) published: Vec<Published>,
}

/// One network it is in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Joint {
    /// The network's name.
    pub(crate) network: String,
    /// The network of highest priority has the way out.
    pub(crate) priority: i64,
    /// What it is called there, where names are answered.
    pub(crate) names: Vec<String>,
    /// What it calls others there: its word, and theirs.
    pub(crate) links: BTreeMap<String, String>,
    /// No way out.
    pub(crate) internal: bool,
    pub(crate) endpoint: Endpoint,
}

impl Place {
    /// The endpoint in a network, by the network's id.
    pub(crate) fn joint(&self, network: &str) -> Option<&Joint> {
        self.joints
            .iter()
            .find(|joint| joint.endpoint.network == network)
    }

    /// The one that packets to elsewhere leave by: of those with a way out the most wanted, then by name, as Docker
    /// has it.
    pub(crate) fn way_out(&self) -> Option<&Joint> {
        let out = self
            .joints
            .iter()
            .filter(|joint| has_way_out(&joint.endpoint));
        out.min_by_key(|joint| (std::cmp::Reverse(joint.priority), &joint.network))
    }

    /// Whether names are answered inside: not on the default network alone.
    pub(crate) fn has_names(&self) -> bool {
        self.joints.iter().any(|joint| joint.network != DEFAULT)
    }

    /// The host as the container reaches it: where its packets to elsewhere go first.
    pub(crate) fn host_address(&self) -> Option<IpAddr> {
        let endpoint = &self.way_out()?.endpoint;
        let v4 = endpoint.gateway4.map(IpAddr::from);
        v4.or(endpoint.gateway6.map(IpAddr::from))
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        let endpoints = self.joints.iter().map(|joint| &joint.endpoint);
        endpoints.cloned().collect()
    }
}

fn has_way_out(endpoint: &Endpoint) -> bool {
    endpoint.gateway4.is_some() || endpoint.gateway6.is_some()
}

/// One network that is to be joined, and how.
pub(crate) struct Wanted {
    pub(crate) record: Arc<Record>,
    pub(crate) settings: EndpointSettings,
}

/// The networks a container is to join, that of its mode first; none where it has no network of its own.
pub(crate) fn wanted(networks: &Networks, definition: &Definition) -> Result<Vec<Wanted>> {
    let mode = definition.host.network_mode.as_str();
    if mode == "host" || mode.starts_with("container:") {
        return Ok(Vec::new());
    }
    let mut list = Vec::new();
    for (name, settings) in definition.endpoints() {
        let record = networks.find(&name)?;
        if !record.is_wired() {
            continue;
        }
        let record = networks.made(&record)?;
        list.push(Wanted { record, settings });
    }
    let main = networks.find(mode).map(|record| record.id.clone());
    list.sort_by_key(|wanted| main.as_ref().ok() != Some(&wanted.record.id));
    Ok(list)
}

/// A place being taken: dropped before it is kept, everything is given back.
pub(crate) struct Joining {
    networks: Arc<Networks>,
    definition: Arc<Definition>,
    sandbox: Sandbox,
    place: Place,
    sockets: Vec<(Published, Option<OwnedFd>)>,
    kept: bool,
}

impl Joining {
    /// Joins all networks and publishes all ports. Blocks.
    pub(crate) fn begin(engine: &Engine, definition: &Arc<Definition>) -> Result<Option<Joining>> {
        let networks = &engine.networks;
        let list = wanted(networks, definition)?;
        let fabric = &networks.fabric;
        let sandbox = if !list.is_empty() {
            fabric.sandbox()
        } else if definition.host.network_mode == "none" && definition.ids.is_none() {
            // A user namespace is to own its network.
            fabric.bare_sandbox()
        } else {
            return Ok(None);
        };
        let mut joining = Joining {
            networks: Arc::clone(networks),
            definition: Arc::clone(definition),
            sandbox: sandbox.map_err(translate)?,
            place: Place::default(),
            sockets: Vec::new(),
            kept: false,
        };
        let way_out = way_out(&list);
        for (at, wanted) in list.iter().enumerate() {
            let joint =
                networks.attach(&joining.sandbox, definition, wanted, way_out == Some(at))?;
            joining.place.joints.push(joint);
        }
        let requests = ports::wanted(&definition.config, &definition.host)?;
        joining.publish(&requests)?;
        Ok(Some(joining))
    }

    fn publish(&mut self, requests: &[PortRequest]) -> Result<()> {
        if requests.is_empty() {
            return Ok(());
        }
        self.sockets = self
            .networks
            .publish(&self.definition, &self.place, requests)?;
        self.place.published = self.sockets.iter().map(|(port, _)| port.clone()).collect();
        Ok(())
    }

    /// The network namespace.
    pub(crate) fn namespace(&self) -> BorrowedFd<'_> {
        self.sandbox.as_fd()
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// What must outlive this process is given to the keeper, and what serves begins. Once the container is about to
    /// start.
    pub(crate) fn hold(&mut self) -> Result<()> {
        let sockets = std::mem::take(&mut self.sockets);
        self.networks.name(&self.definition, &self.place);
        self.networks
            .answer(&self.sandbox, &self.definition, &self.place)?;
        self.networks.hold(&self.definition, sockets, &self.place)
    }

    /// The container runs.
    pub(crate) fn keep(mut self) -> Arc<Place> {
        self.kept = true;
        Arc::new(std::mem::take(&mut self.place))
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        if !self.kept {
            self.networks.unpublish(&self.definition, &self.place);
            self.networks.leave(&self.definition, &self.place);
        }
    }
}

/// Which of the networks has the way out.
fn way_out(list: &[Wanted]) -> Option<usize> {
    let out = list
        .iter()
        .enumerate()
        .filter(|(_, wanted)| !wanted.record.internal);
    let first = out.min_by_key(|(_, wanted)| {
        (
            std::cmp::Reverse(wanted.settings.gw_priority),
            &wanted.record.name,
        )
    });
    first.map(|(at, _)| at)
}

impl Networks {
    /// Joins a namespace to a network for a container.
    pub(super) fn attach(
        &self,
        sandbox: &Sandbox,
        definition: &Definition,
        wanted: &Wanted,
        default_route: bool,
    ) -> Result<Joint> {
        let Wanted { record, settings } = wanted;
        let request = request(definition, record, settings, default_route)?;
        let active = Active {
            network: record.id.clone(),
            container: definition.id.clone(),
            container_name: definition.name.clone(),
            endpoint: None,
        };
        self.reserve(&request.id, active)?;
        let endpoint = match self.fabric.attach(sandbox, &request) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                self.detached(&request.id);
                return Err(translate(error));
            }
        };
        self.attached(&endpoint);
        Ok(Joint {
            network: record.name.clone(),
            priority: settings.gw_priority,
            names: names::of(definition, record, settings),
            links: names::links(settings),
            internal: record.internal,
            endpoint,
        })
    }

    /// Publishes a container's ports.
    pub(super) fn publish(
        &self,
        definition: &Definition,
        place: &Place,
        requests: &[PortRequest],
    ) -> Result<Vec<(Published, Option<OwnedFd>)>> {
        let endpoint = place.joints.first();
        let endpoint = endpoint.map_or("", |joint| joint.endpoint.id.as_str());
        let mut reserved = self.fabric.publish(&place.endpoints(), requests);
        // The keeper closes its copy of a released socket a moment after it was asked to.
        while matches!(reserved, Err(Refusal::PortTaken { .. })) && self.just_released() {
            std::thread::sleep(PAUSE);
            reserved = self.fabric.publish(&place.endpoints(), requests);
        }
        let reserved =
            reserved.map_err(|refusal| ports::refused(refusal, &definition.name, endpoint))?;
        Ok(reserved
            .into_iter()
            .map(|reserved| (reserved.published, reserved.socket))
            .collect())
    }

    fn just_released(&self) -> bool {
        lock(&self.released).is_some_and(|time| time.elapsed() < CLOSING)
    }

    /// Gives the keeper what must outlive this process, and begins with what serves.
    pub(super) fn hold(
        &self,
        definition: &Definition,
        sockets: Vec<(Published, Option<OwnedFd>)>,
        place: &Place,
    ) -> Result<()> {
        for (number, (_, socket)) in sockets.iter().enumerate() {
            if let Some(socket) = socket {
                self.keeper
                    .get_ref()
                    .keep(&port_name(&definition.id, number), socket.as_fd())
                    .context(|| "have the keeper hold a published port".into())?;
            }
        }
        self.serve(definition, sockets, place);
        Ok(())
    }

    /// Serves what the kernel does not carry of published ports.
    pub(super) fn serve(
        &self,
        definition: &Definition,
        sockets: Vec<(Published, Option<OwnedFd>)>,
        place: &Place,
    ) {
        let endpoints = place.endpoints();
        let mut tasks = Vec::new();
        for (published, socket) in sockets {
            let Some(socket) = socket else { continue };
            match self.fabric.serve_port(&published, socket, &endpoints) {
                Ok(task) => tasks.push(task),
                Err(error) => {
                    tracing::warn!(port = ports::told(&published), %error, "a published port is served by the kernel alone");
                }
            }
        }
        if !tasks.is_empty() {
            let mut wires = lock(&self.wires);
            wires.entry(definition.id.clone()).or_default().ports = tasks;
        }
    }

    /// Ends what serves a container, and takes its ports back.
    pub(crate) fn unpublish(&self, definition: &Definition, place: &Place) {
        if let Some(wires) = lock(&self.wires).get_mut(&definition.id) {
            wires.ports.drain(..).for_each(|task| task.abort());
        }
        if place.published.is_empty() {
            return;
        }
        for number in 0..place.published.len() {
            // The keeper is gone only when the process ends.
            let _ = self
                .keeper
                .get_ref()
                .release(&port_name(&definition.id, number));
        }
        *lock(&self.released) = Some(Instant::now());
        if let Err(error) = self.fabric.unpublish(&place.published) {
            tracing::warn!(id = %definition.id, %error, "taking back published ports failed");
        }
    }

    /// Gives a container's place back, its namespace being gone or going.
    pub(crate) fn leave(&self, definition: &Definition, place: &Place) {
        self.fall_silent(definition, place);
        lock(&self.wires).remove(&definition.id);
        for joint in &place.joints {
            self.unname(definition, &joint.endpoint.network);
            if let Err(error) = self.fabric.detach(None, &joint.endpoint) {
                tracing::warn!(id = %definition.id, network = joint.network, %error, "leaving a network failed");
            }
            self.detached(&joint.endpoint.id);
        }
    }
}

/// The keeper's name for a published port's socket.
pub(super) fn port_name(container: &id::Id, number: usize) -> String {
    format!("port/{container}/{number}")
}

/// What is asked of the kernel's side for one endpoint.
fn request(
    definition: &Definition,
    record: &Record,
    settings: &EndpointSettings,
    default_route: bool,
) -> Result<EndpointRequest> {
    let (ipv4, ipv6) = addresses(record, settings)?;
    let option = |key: &str| {
        settings
            .driver_opts
            .as_ref()
            .and_then(|options| options.get(key))
    };
    Ok(EndpointRequest {
        id: id::random_hex().context(|| "make an id".into())?,
        network: record.id.clone(),
        owner: definition.id.to_string(),
        interface: option(settings::INTERFACE).cloned(),
        ipv4,
        ipv6,
        mac: mac(&settings.mac_address)?,
        default_route,
        rate: rate::of(&definition.host)?,
    })
}

/// The addresses a container chose; only networks whose subnets a user chose let it.
pub(crate) fn addresses(
    record: &Record,
    settings: &EndpointSettings,
) -> Result<(Option<Ipv4Addr>, Option<Ipv6Addr>)> {
    let Some(wanted) = &settings.ipam_config else {
        return Ok((None, None));
    };
    let read = |text: &str| -> Result<Option<IpAddr>> {
        let parsed = (!text.is_empty()).then(|| text.parse::<IpAddr>());
        parsed.transpose().map_err(|_| {
            Error::bad(format!(
                "invalid endpoint settings:\ninvalid IP address: {text}"
            ))
        })
    };
    let mut chosen = (None, None);
    for address in [read(&wanted.ipv4_address)?, read(&wanted.ipv6_address)?]
        .into_iter()
        .flatten()
    {
        allowed(record, address)?;
        match address {
            IpAddr::V4(address) => chosen.0 = Some(address),
            IpAddr::V6(address) => chosen.1 = Some(address),
        }
    }
    Ok(chosen)
}

fn allowed(record: &Record, address: IpAddr) -> Result<()> {
    if record.name == DEFAULT {
        return Err(Error::bad(
            "user specified IP address is supported on user defined networks only",
        ));
    }
    let invalid = |words: String| Err(Error::bad(format!("invalid endpoint settings:\n{words}")));
    let configs = record.ipam.config.iter().flatten();
    let subnets: Vec<ipnet::IpNet> = configs
        .filter_map(|config| config.subnet.parse().ok())
        .collect();
    if subnets.iter().any(|subnet| subnet.contains(&address)) {
        return Ok(());
    }
    let of_family = |subnet: &ipnet::IpNet| subnet.addr().is_ipv4() == address.is_ipv4();
    if subnets.iter().any(of_family) {
        return invalid(format!(
            "no configured subnet or ip-range contain the IP address {address}"
        ));
    }
    invalid("user specified IP address is supported only when connecting to networks with user configured subnets".to_owned())
}

/// A hardware address, with colons or dashes between its bytes.
pub(crate) fn mac(text: &str) -> Result<Option<Mac>> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || Error::bad(format!("invalid MAC address: {text}"));
    let mut bytes = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut bytes {
        let part = parts
            .next()
            .filter(|part| part.len() == 2)
            .ok_or_else(wrong)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
    }
    match parts.next() {
        None => Ok(Some(Mac(bytes))),
        Some(_) => Err(wrong()),
    }
}

/// What can be wrong with a container's wishes before it is started.
pub(crate) fn check(
    host: &HostConfig,
    endpoints: &BTreeMap<String, EndpointSettings>,
) -> Result<()> {
    rate::of(host)?;
    for settings in endpoints.values() {
        mac(&settings.mac_address)?;
        let Some(wanted) = &settings.ipam_config else {
            continue;
        };
        if !wanted.ipv4_address.is_empty() && wanted.ipv4_address.parse::<Ipv4Addr>().is_err() {
            return Err(Error::bad(format!(
                "invalid IPv4 address: {}",
                wanted.ipv4_address
            )));
        }
        if !wanted.ipv6_address.is_empty() && wanted.ipv6_address.parse::<Ipv6Addr>().is_err() {
            return Err(Error::bad(format!(
                "invalid IPv6 address: {}",
                wanted.ipv6_address
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_six_bytes() {
        let check = |text: &str| mac(text).ok().flatten().map(|mac| mac.to_string());
        assert_eq!(
            check("02:42:AC-11-00-02").as_deref(),
            Some("02:42:ac:11:00:02")
        );
        for wrong in [
            "02:42",
            "02:42:ac:11:00:02:03",
            "xx:42:ac:11:00:02",
            "2:42:ac:11:00:002",
        ] {
            assert_eq!(check(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_address_is_chosen_only_where_a_user_chose_the_subnet() {
        let record = |subnet: &str| Record {
            name: "n".to_owned(),
            ipam: proa_protocol::Ipam {
                config: Some(vec![proa_protocol::IpamConfig {
                    subnet: subnet.to_owned(),
                    ..Default::default()
                }]),
                ..Default::default()
            },
            ..super::super::always("n", "bridge", "0")
        };
        let told = |subnet: &str, address: &str| match allowed(
            &record(subnet),
            address.parse().unwrap(),
        ) {
            Ok(()) => String::new(),
            Err(error) => error.told().rsplit('\n').next().unwrap().to_owned(),
        };
        assert_eq!(told("10.1.0.0/16", "10.1.0.9"), "");
        assert!(told("10.1.0.0/16", "10.2.0.9").starts_with("no configured subnet"));
        assert!(told("", "10.2.0.9").starts_with("user specified IP address is supported only"));
        assert!(told("10.1.0.0/16", "fd00::1").starts_with("user specified IP address"));
    }
}
