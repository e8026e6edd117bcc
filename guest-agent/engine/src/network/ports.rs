//! Published ports: what a container wants, and how it is shown.

use std::net::{IpAddr, SocketAddr};

use proa_networks::{Error as Refusal, PortRequest, Protocol, Published};
use proa_protocol::{ContainerConfig, HostConfig, Port, PortBinding, PortMap};

use super::translate;
use crate::{Error, Result};

/// The ports a container publishes, checked.
pub(crate) fn wanted(config: &ContainerConfig, host: &HostConfig) -> Result<Vec<PortRequest>> {
    let mut requests = Vec::new();
    for (port, bindings) in host.port_bindings.iter().flatten() {
        let (inside, protocol) = parse(port)?;
        for binding in bindings.iter().flatten() {
            requests.push(PortRequest {
                protocol,
                inside,
                address: address(binding)?,
                ports: range(&binding.host_port)?,
            });
        }
    }
    if host.publish_all_ports {
        let mut exposed = Vec::new();
        for port in config.exposed_ports.iter().flatten().map(|(port, _)| port) {
            exposed.extend(each(port)?);
        }
        let chosen = |inside, protocol| {
            requests
                .iter()
                .any(|request| (request.inside, request.protocol) == (inside, protocol))
        };
        exposed.retain(|(inside, protocol)| !chosen(*inside, *protocol));
        requests.extend(exposed.into_iter().map(|(inside, protocol)| PortRequest {
            protocol,
            inside,
            address: None,
            ports: (0, 0),
        }));
    }
    Ok(requests)
}

/// `80/tcp`; the protocol may be left out.
fn parse(text: &str) -> Result<(u16, Protocol)> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let wrong = || Error::bad(format!("invalid port specification: {number:?}"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err(wrong()),
    };
    match number.parse() {
        Ok(0) | Err(_) => Err(wrong()),
        Ok(number) => Ok((number, protocol)),
    }
}

/// Each port of `80/tcp` or `8000-8010/udp`.
fn each(text: &str) -> Result<Vec<(u16, Protocol)>> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let Some((first, last)) = numbers.split_once('-') else {
        return Ok(vec![parse(text)?]);
    };
    let (first, kind) = parse(&format!("{first}/{protocol}"))?;
    let (last, _) = parse(&format!("{last}/{protocol}"))?;
    Ok((first..=last).map(|number| (number, kind)).collect())
}

fn address(binding: &PortBinding) -> Result<Option<IpAddr>> {
    let text = binding.host_ip.trim_matches(['[', ']']);
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| Error::bad(format!("invalid IP address {:?}", binding.host_ip));
    text.parse().map(Some).map_err(wrong)
}

/// The host's ports to choose from: `8080`, `8000-8010`, or nothing.
fn range(text: &str) -> Result<(u16, u16)> {
    if text.is_empty() {
        return Ok((0, 0));
    }
    let wrong = || Error::bad(format!("invalid port specification: {text:?}"));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
        _ => Err(wrong()),
    }
}

/// A refusal to publish, in the words that clients look for.
pub(crate) fn refused(refusal: Refusal, container: &str, endpoint: &str) -> Error {
    match &refusal {
        Refusal::PortTaken {
            address, holder, ..
        } => {
            let held = holder
                .as_ref()
                .map_or_else(String::new, |holder| format!(" (held by {holder})"));
            Error::internal(format!(
                "driver failed programming external connectivity on endpoint {container} ({endpoint}): Bind for \
                 {address} failed: port is already allocated{held}"
            ))
        }
        _ => translate(refusal),
    }
}

/// As inspection shows them: exposed ones that are not published are there with nothing.
pub(crate) fn map(config: &ContainerConfig, published: &[Published]) -> PortMap {
    let mut map = PortMap::new();
    for port in config.exposed_ports.iter().flatten().map(|(port, _)| port) {
        for (number, protocol) in each(port).unwrap_or_default() {
            map.insert(format!("{number}/{protocol}"), None);
        }
    }
    for port in published {
        let key = format!("{}/{}", port.inside, port.protocol);
        map.entry(key)
            .or_default()
            .get_or_insert_default()
            .push(PortBinding {
                host_ip: port.address.to_string(),
                host_port: port.port.to_string(),
            });
    }
    map
}

/// As lists show them.
pub(crate) fn list(config: &ContainerConfig, published: &[Published]) -> Vec<Port> {
    let mut ports = Vec::new();
    for (key, bindings) in map(config, published) {
        let Ok((inside, protocol)) = parse(&key) else {
            continue;
        };
        let one = |ip: &str, public_port: u16| Port {
            ip: ip.to_owned(),
            private_port: inside,
            public_port,
            kind: protocol.to_string(),
        };
        match bindings {
            None => ports.push(one("", 0)),
            Some(bindings) => ports.extend(
                bindings
                    .iter()
                    .map(|binding| one(&binding.host_ip, binding.host_port.parse().unwrap_or(0))),
            ),
        }
    }
    ports
}

/// The address in the words of a log.
pub(crate) fn told(published: &Published) -> String {
    let address = SocketAddr::new(published.address, published.port);
    format!("{address}/{}", published.protocol)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proa_protocol::docker::Empty;

    use super::*;

    fn check(port: &str, ip: &str, host_port: &str) -> String {
        let binding = PortBinding {
            host_ip: ip.to_owned(),
            host_port: host_port.to_owned(),
        };
        let host = HostConfig {
            port_bindings: Some(BTreeMap::from([(port.to_owned(), Some(vec![binding]))])),
            ..HostConfig::default()
        };
        match wanted(&ContainerConfig::default(), &host) {
            Ok(requests) => format!(
                "{:?}",
                requests
                    .iter()
                    .map(|r| (r.inside, r.protocol, r.address, r.ports))
                    .collect::<Vec<_>>()
            ),
            Err(error) => error.told(),
        }
    }

    #[test]
    fn ports_are_numbers_ranges_or_any() {
        assert_eq!(
            check("80/tcp", "", "8080"),
            "[(80, Tcp, None, (8080, 8080))]"
        );
        assert_eq!(
            check("53/udp", "127.0.0.1", ""),
            "[(53, Udp, Some(127.0.0.1), (0, 0))]"
        );
        assert_eq!(
            check("80", "[::1]", "8000-8010"),
            "[(80, Tcp, Some(::1), (8000, 8010))]"
        );
        for (port, ip, host) in [
            ("0/tcp", "", "1"),
            ("80/odd", "", "1"),
            ("80/tcp", "x", "1"),
            ("80/tcp", "", "9-8"),
            ("80/tcp", "", "70000"),
        ] {
            assert!(
                check(port, ip, host).starts_with("invalid"),
                "{port} {ip} {host}"
            );
        }
    }

    #[test]
    fn publishing_all_takes_the_exposed_ones_that_are_not_yet() {
        let exposed = ["80/tcp", "90-91/udp"].map(|port| (port.to_owned(), Empty {}));
        let config = ContainerConfig {
            exposed_ports: Some(BTreeMap::from(exposed)),
            ..ContainerConfig::default()
        };
        let bindings = BTreeMap::from([(
            "80/tcp".to_owned(),
            Some(vec![PortBinding {
                host_ip: String::new(),
                host_port: "8080".to_owned(),
            }]),
        )]);
        let host = HostConfig {
            publish_all_ports: true,
            port_bindings: Some(bindings),
            ..HostConfig::default()
        };
        let requests = wanted(&config, &host).unwrap();
        let seen: Vec<_> = requests
            .iter()
            .map(|request| (request.inside, request.ports.0))
            .collect();
        assert_eq!(seen, [(80, 8080), (90, 0), (91, 0)]);
        let published = Published {
            protocol: Protocol::Tcp,
            inside: 80,
            address: "0.0.0.0".parse().unwrap(),
            port: 8080,
        };
        let shown = map(&config, &[published]);
        assert_eq!(shown["80/tcp"].as_ref().map(Vec::len), Some(1));
        assert_eq!((shown.len(), &shown["91/udp"]), (3, &None));
    }
}
