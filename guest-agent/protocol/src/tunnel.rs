//! `POST /proa/v1/tunnel?to=tcp:172.17.0.2:80`: a stream, or datagrams, to an address that the engine's host reaches.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// What a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Carrier {
    /// A stream of bytes.
    Tcp,
    /// Datagrams, each a frame.
    Udp,
}

/// Where a tunnel leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What it carries.
    pub carrier: Carrier,
    /// The far end.
    pub address: SocketAddr,
}

/// Text that names no target.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no target of a tunnel: expected tcp:ADDRESS:PORT or udp:ADDRESS:PORT")]
pub struct BadTarget(pub String);

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.carrier, self.address)
    }
}

impl FromStr for Target {
    type Err = BadTarget;
    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let bad = || BadTarget(text.to_owned());
        let (carrier, address) = text.split_once(':').ok_or_else(bad)?;
        let carrier = match carrier {
            "tcp" => Carrier::Tcp,
            "udp" => Carrier::Udp,
            _ => return Err(bad()),
        };
        let address: SocketAddr = address.parse().map_err(|_| bad())?;
        if address.port() == 0 {
            return Err(bad());
        }
        Ok(Self { carrier, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_carrier_an_address_and_a_port() {
        for text in ["tcp:172.17.0.2:80", "udp:[fd00::2]:53"] {
            let target: Target = text.parse().expect("well-formed");
            assert_eq!(target.to_string(), text);
        }
        for bad in ["", "tcp", "sctp:1.2.3.4:5", "tcp:host:80", "tcp:1.2.3.4:0"] {
            assert_eq!(bad.parse::<Target>(), Err(BadTarget(bad.into())));
        }
    }
}
