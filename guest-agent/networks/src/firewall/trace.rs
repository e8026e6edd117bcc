//! What the kernel has of one published port.

use std::net::{IpAddr, SocketAddr};

use proa_kernel::nftables::{Mapped, Value};

use super::{Firewall, elements, ruleset};
use crate::{Fabric, Published, Result};

/// A translation as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The table, and the map in it that the rule asks.
    pub rule: String,
    /// What the rule looks for.
    pub key: String,
    /// What it finds.
    pub to: SocketAddr,
    /// How many packets, of how many bytes, the rule translated for all ports of the map: the first of each connection.
    pub counted: Option<(u64, u64)>,
}

impl Fabric {
    /// Reads the translation of a published port from the kernel; none if it has none.
    pub fn traced(&self, port: &Published) -> Result<Option<Traced>> {
        self.firewall.traced(port)
    }
}

impl Firewall {
    fn traced(&self, port: &Published) -> Result<Option<Traced>> {
        let (name, wanted) = elements::key(port);
        let door = self.door.open()?;
        let Some(map) = ruleset::sets().into_iter().find(|set| set.name == name) else {
            return Ok(None);
        };
        let elements = door.elements(self.table(), &map)?;
        let found = elements.into_iter().find(|element| element.key == wanted);
        let Some((key, to)) = found.and_then(|found| Some((found.key, target(found.data?)?)))
        else {
            return Ok(None);
        };
        let rules = door.rules(self.table(), Some(ruleset::PUBLISHED))?;
        let rule = rules
            .into_iter()
            .find(|rule| rule.comment.as_deref() == Some(name));
        Ok(Some(Traced {
            rule: format!("inet {} {name}", self.table),
            key: words(&key),
            to,
            counted: rule
                .and_then(|rule| rule.traffic)
                .map(|traffic| (traffic.packets, traffic.bytes)),
        }))
    }
}

fn target(data: Mapped) -> Option<SocketAddr> {
    match data {
        Mapped::Values(values) => match values.as_slice() {
            [Value::Address(address), Value::Port(port)] => Some(SocketAddr::new(*address, *port)),
            _ => None,
        },
        Mapped::Verdict(_) => None,
    }
}

/// As people say it: an address if there is one, the port, the protocol.
fn words(key: &[Value]) -> String {
    let mut address: Option<IpAddr> = None;
    let (mut protocol, mut number) = ("", 0);
    for value in key {
        match value {
            Value::Address(at) => address = Some(*at),
            Value::Port(port) => number = *port,
            Value::Byte(6) => protocol = "tcp",
            Value::Byte(17) => protocol = "udp",
            Value::Byte(132) => protocol = "sctp",
            Value::Byte(_) | Value::Number(_) | Value::Interface(_) => {}
        }
    }
    match address {
        Some(address) => format!("{}/{protocol}", SocketAddr::new(address, number)),
        None => format!("port {number}/{protocol}"),
    }
}
