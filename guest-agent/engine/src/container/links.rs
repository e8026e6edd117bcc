//! `--link` on the default network: what a container is told of the others that it names, as lines of `/etc/hosts` and,
//! in the manner of Docker's first years, as variables in its environment.

use std::{collections::HashSet, net::Ipv4Addr, sync::Arc};

use oci_spec::runtime::Spec;
use proa_protocol::HostConfig;

use super::{definition::Definition, files::split_link};
use crate::{Engine, Error, Result, network::DEFAULT};

/// Another container, as it is while this one starts.
pub(crate) struct Linked {
    /// What this container calls it.
    alias: String,
    address: Ipv4Addr,
    /// This container's name.
    own_name: String,
    other: Arc<Definition>,
}

/// Everything that a container links to. Elsewhere than on the default network names are answered instead.
pub(crate) fn of(engine: &Engine, definition: &Definition) -> Result<Vec<Linked>> {
    let endpoints = definition.endpoints();
    if !endpoints.iter().any(|(network, _)| network == DEFAULT) {
        return Ok(Vec::new());
    }
    let links = definition.host.links.iter().flatten();
    links.map(|link| linked(engine, definition, link)).collect()
}

/// Whether those that a new container names are there.
pub(crate) fn check(engine: &Engine, host: &HostConfig) -> Result<()> {
    let on_default = matches!(host.network_mode.as_str(), "" | "default" | DEFAULT);
    for link in host.links.iter().flatten().filter(|_| on_default) {
        let (name, _) = split_link(link);
        engine.container(name).map_err(|error| {
            Error::bad(format!(
                "could not get container for {name}: {}",
                error.told()
            ))
        })?;
    }
    Ok(())
}

fn linked(engine: &Engine, definition: &Definition, link: &str) -> Result<Linked> {
    let (name, alias) = split_link(link);
    let container = engine.container(name)?;
    let seen = container.seen();
    let running = seen.state.live().ok_or_else(|| {
        Error::internal(format!(
            "Cannot link to a non running container: /{} AS /{}/{alias}",
            seen.definition.name, definition.name
        ))
    })?;
    let joint = running
        .place
        .joints
        .iter()
        .find(|joint| joint.network == DEFAULT);
    let address = joint.and_then(|joint| joint.endpoint.ipv4).ok_or_else(|| {
        let other = &seen.definition.name;
        Error::internal(format!(
            "Cannot link to /{other}, as it does not belong to the default network"
        ))
    })?;
    Ok(Linked {
        alias: alias.to_owned(),
        address: address.addr(),
        own_name: definition.name.clone(),
        other: Arc::clone(&seen.definition),
    })
}

/// Adds the variables of all to a spec's environment: behind those that Docker sets, before those that image and user
/// say, which win.
pub(crate) fn tell(spec: &mut Spec, terminal: bool, linked: &[Linked]) {
    let Some(process) = spec.process_mut().as_mut().filter(|_| !linked.is_empty()) else {
        return;
    };
    let mut env = process.env().clone().unwrap_or_default();
    insert(&mut env, terminal, linked);
    process.set_env(Some(env));
}

/// The same for a list.
pub(crate) fn insert(env: &mut Vec<String>, terminal: bool, linked: &[Linked]) {
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let said: HashSet<String> = env.iter().map(|entry| name(entry)).collect();
    // PATH, HOSTNAME, and TERM.
    let place = (2 + usize::from(terminal)).min(env.len());
    let more = linked.iter().flat_map(Linked::environment);
    let more: Vec<_> = more.filter(|entry| !said.contains(&name(entry))).collect();
    env.splice(place..place, more);
}

impl Linked {
    /// Its line in `/etc/hosts`.
    pub(crate) fn hosts(&self) -> String {
        let mut names = format!("{} {}", self.alias, self.other.config.hostname);
        if self.alias != self.other.name {
            names += &format!(" {}", self.other.name);
        }
        format!("{}\t{names}\n", self.address)
    }

    /// Its variables: the first port, each port or run of ports, the name, and its own environment.
    pub(crate) fn environment(&self) -> Vec<String> {
        let prefix = self.alias.to_ascii_uppercase().replace('-', "_");
        let ports = ports(&self.other);
        let mut env = Vec::new();
        if let Some(first) = ports.first() {
            env.push(format!("{prefix}_PORT={}", first.at(self.address)));
        }
        let mut rest = ports.as_slice();
        while !rest.is_empty() {
            let (run, later) = rest.split_at(run_length(rest));
            env.extend(run_variables(&prefix, self.address, run));
            rest = later;
        }
        let each = ports
            .iter()
            .flat_map(|port| port.variables(&prefix, self.address));
        env.extend(each);
        env.push(format!("{prefix}_NAME=/{}/{}", self.own_name, self.alias));
        let own = self.other.config.env.iter().flatten();
        let own = own.filter_map(|entry| entry.split_once('='));
        env.extend(
            own.filter(|(name, _)| !matches!(*name, "HOME" | "PATH"))
                .map(|(name, value)| format!("{prefix}_ENV_{name}={value}")),
        );
        env
    }
}

/// A port that a container exposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Exposed<'a> {
    number: u16,
    /// Of one number, TCP comes first.
    later: bool,
    protocol: &'a str,
}

impl Exposed<'_> {
    fn at(&self, address: Ipv4Addr) -> String {
        format!("{}://{address}:{}", self.protocol, self.number)
    }

    fn key(&self, prefix: &str) -> String {
        let protocol = self.protocol.to_ascii_uppercase();
        format!("{prefix}_PORT_{}_{protocol}", self.number)
    }

    fn variables(&self, prefix: &str, address: Ipv4Addr) -> [String; 4] {
        let key = self.key(prefix);
        [
            format!("{key}={}", self.at(address)),
            format!("{key}_ADDR={address}"),
            format!("{key}_PORT={}", self.number),
            format!("{key}_PROTO={}", self.protocol),
        ]
    }
}

/// In order, as a run of numbers is told by its ends.
fn ports(definition: &Definition) -> Vec<Exposed<'_>> {
    let exposed = definition.config.exposed_ports.iter().flatten();
    let mut ports: Vec<_> = exposed.filter_map(|(text, _)| exposed_port(text)).collect();
    ports.sort_unstable();
    ports
}

fn exposed_port(text: &str) -> Option<Exposed<'_>> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Some(Exposed {
        number: number.parse().ok()?,
        later: protocol != "tcp",
        protocol,
    })
}

/// How many of the first ports are told together: three or more without a gap, or one. A number that is there for two
/// protocols is no gap.
fn run_length(ports: &[Exposed<'_>]) -> usize {
    let first = ports.first().map_or(0, |port| u32::from(port.number));
    let follows = |(most, port): &(u32, &Exposed<'_>)| u32::from(port.number) <= *most;
    let more = (first + 1..).zip(ports.iter().skip(1));
    let length = 1 + more.take_while(follows).count();
    if length > 2 { length } else { 1 }
}

/// The ends of a run; none of a single port.
fn run_variables(prefix: &str, address: Ipv4Addr, run: &[Exposed<'_>]) -> Vec<String> {
    let [first, _, .., last] = run else {
        return Vec::new();
    };
    let key = first.key(prefix);
    vec![
        format!("{key}_START={}", first.at(address)),
        format!("{key}_PORT_START={}", first.number),
        format!("{key}_END={}", last.at(address)),
        format!("{key}_PORT_END={}", last.number),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::definition::tests::definition;

    fn variables(ports: &[&str]) -> Vec<String> {
        let mut other = definition(HostConfig::default());
        other.config.env = Some(vec!["PATH=/bin".into(), "A=b=c".into(), "odd".into()]);
        let exposed = ports
            .iter()
            .map(|port| ((*port).to_owned(), proa_protocol::Empty::default()));
        other.config.exposed_ports = Some(exposed.collect());
        let linked = Linked {
            alias: "my-db".into(),
            address: Ipv4Addr::new(172, 17, 0, 2),
            own_name: "web".into(),
            other: Arc::new(other),
        };
        linked.environment()
    }

    #[test]
    fn each_port_and_the_others_environment_are_told() {
        assert_eq!(
            variables(&["53/udp", "53/tcp"]),
            [
                "MY_DB_PORT=tcp://172.17.0.2:53",
                "MY_DB_PORT_53_TCP=tcp://172.17.0.2:53",
                "MY_DB_PORT_53_TCP_ADDR=172.17.0.2",
                "MY_DB_PORT_53_TCP_PORT=53",
                "MY_DB_PORT_53_TCP_PROTO=tcp",
                "MY_DB_PORT_53_UDP=udp://172.17.0.2:53",
                "MY_DB_PORT_53_UDP_ADDR=172.17.0.2",
                "MY_DB_PORT_53_UDP_PORT=53",
                "MY_DB_PORT_53_UDP_PROTO=udp",
                "MY_DB_NAME=/web/my-db",
                "MY_DB_ENV_A=b=c",
            ]
        );
    }

    #[test]
    fn a_run_of_ports_is_told_by_its_ends() {
        let told = variables(&["80/tcp", "7001/tcp", "7002/tcp", "7000/tcp"]);
        assert!(told.contains(&"MY_DB_PORT_7000_TCP_START=tcp://172.17.0.2:7000".to_owned()));
        assert!(told.contains(&"MY_DB_PORT_7000_TCP_END=tcp://172.17.0.2:7002".to_owned()));
        assert!(told.contains(&"MY_DB_PORT_80_TCP_PORT=80".to_owned()));
        assert!(!told.iter().any(|entry| entry.contains("80_TCP_START")));
    }
}
