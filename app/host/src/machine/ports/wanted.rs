//! Which ports a container wants on the host, read from the engine's document about it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proa_protocol::tunnel::Carrier;
use serde::Deserialize;

/// An address and port of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Port {
    pub(super) carrier: Carrier,
    pub(super) address: SocketAddr,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.carrier)
    }
}

/// A port to be opened, and where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) port: Port,
    pub(super) target: Option<SocketAddr>,
}

/// What `GET /containers/{id}/json` says of ports.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Inspected {
    pub(super) id: String,
    pub(super) name: String,
    state: State,
    host_config: HostConfig,
    network_settings: NetworkSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    running: bool,
}

/// `80/tcp` to where it is bound.
type Bindings = BTreeMap<String, Option<Vec<Binding>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    port_bindings: Option<Bindings>,
    network_mode: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    ports: Option<Bindings>,
    networks: Option<BTreeMap<String, Option<Endpoint>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Binding {
    #[serde(rename = "HostIp")]
    address: String,
    #[serde(rename = "HostPort")]
    port: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    #[serde(rename = "IPAddress")]
    v4: String,
    #[serde(rename = "GlobalIPv6Address")]
    v6: String,
}

impl Inspected {
    /// Its name without the slash that Docker puts before it.
    pub(super) fn short_name(&self) -> String {
        self.name.trim_start_matches('/').to_owned()
    }

    /// The ports that it wants by number, before it runs.
    pub(super) fn asked(&self) -> Vec<Port> {
        let own_network = !["host", "none"].contains(&self.host_config.network_mode.as_str())
            && !self.host_config.network_mode.starts_with("container:");
        let bindings = self.host_config.port_bindings.as_ref();
        let asked = bindings.filter(|_| own_network && !self.state.running);
        ports(asked).map(|(port, _)| port).collect()
    }

    /// The ports that it publishes now.
    pub(super) fn published(&self) -> Vec<Wanted> {
        let bindings = self.network_settings.ports.as_ref();
        ports(bindings.filter(|_| self.state.running))
            .map(|(port, inside)| {
                let target = self.target(port.address.is_ipv6());
                Wanted {
                    port,
                    target: target.map(|address| (address, inside).into()),
                }
            })
            .collect()
    }

    /// Its address, of the family that the host's side has if it can be chosen.
    fn target(&self, v6: bool) -> Option<IpAddr> {
        let networks = self.network_settings.networks.as_ref();
        let endpoints = || networks.into_iter().flat_map(BTreeMap::values).flatten();
        let mut v4s = endpoints().filter_map(|endpoint| endpoint.v4.parse().ok());
        let mut v6s = endpoints().filter_map(|endpoint| endpoint.v6.parse().ok());
        if v6 {
            v6s.next().or_else(|| v4s.next())
        } else {
            v4s.next().or_else(|| v6s.next())
        }
    }
}

/// Ports of the host by number, and the container's behind each.
fn ports(bindings: Option<&Bindings>) -> impl Iterator<Item = (Port, u16)> {
    bindings
        .into_iter()
        .flatten()
        .flat_map(|(inside, bound)| {
            let inside = inside_port(inside);
            let bound = bound.iter().flatten();
            bound.filter_map(move |binding| {
                let (carrier, inside) = inside?;
                let number: u16 = binding.port.parse().ok().filter(|port| *port != 0)?;
                Some((addresses(&binding.address)?, number, carrier, inside))
            })
        })
        .flat_map(|(addresses, number, carrier, inside)| {
            addresses.into_iter().map(move |address| {
                let address = (address, number).into();
                (Port { carrier, address }, inside)
            })
        })
}

/// No address means all, of both families.
fn addresses(text: &str) -> Option<Vec<IpAddr>> {
    if text.is_empty() {
        return Some(vec![
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv6Addr::UNSPECIFIED.into(),
        ]);
    }
    text.parse().ok().map(|address| vec![address])
}

/// `80/tcp`. SCTP is not carried.
fn inside_port(text: &str) -> Option<(Carrier, u16)> {
    let (port, carrier) = text.split_once('/').unwrap_or((text, "tcp"));
    let carrier = match carrier {
        "tcp" => Carrier::Tcp,
        "udp" => Carrier::Udp,
        _ => return None,
    };
    Some((carrier, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(document: serde_json::Value) -> (Vec<String>, Vec<String>) {
        let found: Inspected = serde_json::from_value(document).expect("well-formed");
        let asked = found.asked().iter().map(Port::to_string).collect();
        let published = found.published().into_iter();
        let published = published.map(|wanted| match wanted.target {
            Some(target) => format!("{} {target}", wanted.port),
            None => wanted.port.to_string(),
        });
        (asked, published.collect())
    }

    #[test]
    fn before_the_start_ports_are_known_by_number() {
        let bindings = json!({
            "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
            "53/udp": [{"HostIp": "", "HostPort": "53"}],
            "90/tcp": [{"HostIp": "", "HostPort": ""}, {"HostIp": "", "HostPort": "0"}, {"HostPort": "8000-8010"}],
            "7/sctp": [{"HostPort": "7"}],
            "100/tcp": null,
        });
        let document =
            json!({"Id": "a", "HostConfig": {"PortBindings": bindings, "NetworkMode": "bridge"}});
        let (asked, published) = told(document);
        assert_eq!(
            asked,
            ["0.0.0.0:53/udp", "[::]:53/udp", "127.0.0.1:8080/tcp"]
        );
        assert!(published.is_empty());
    }

    #[test]
    fn a_container_without_a_network_of_its_own_asks_for_none() {
        let bindings = json!({"80/tcp": [{"HostPort": "8080"}]});
        let document = json!({"HostConfig": {"PortBindings": bindings, "NetworkMode": "host"}});
        assert!(told(document).0.is_empty());
    }

    #[test]
    fn what_runs_publishes_at_its_address() {
        let ports = json!({
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "32768"}],
            "443/tcp": null,
        });
        let networks = json!({
            "inner": null,
            "net": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""},
        });
        let settings = json!({"Ports": ports, "Networks": networks});
        let running = json!({"State": {"Running": true}, "NetworkSettings": settings.clone()});
        let expected = [
            "0.0.0.0:32768/tcp 172.17.0.2:80",
            "[::]:32768/tcp 172.17.0.2:80",
        ];
        assert_eq!(told(running).1, expected);
        let ended = json!({"State": {"Running": false}, "NetworkSettings": settings});
        assert!(told(ended).1.is_empty());
    }
}
