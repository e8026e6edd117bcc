//! Addresses of log servers: `tcp://host:port`, `unix:///path`.

use std::net::ToSocketAddrs;
use std::path::PathBuf;

use super::{BadLogOption, Endpoint};

/// An address as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) scheme: String,
    pub(super) place: Place,
    text: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path(PathBuf),
    Host(String, u16),
}

impl Address {
    pub(super) fn parse(text: &str, default_port: u16) -> Result<Address, BadLogOption> {
        let bad = || {
            BadLogOption::value(format!(
                "invalid address \"{text}\": it should be proto://address"
            ))
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        let place = if scheme.starts_with("unix") {
            let path = PathBuf::from(rest);
            if !path.is_absolute() {
                return Err(bad());
            }
            Place::Path(path)
        } else {
            let rest = rest.trim_end_matches('/');
            let bracketed = rest.ends_with(']');
            let (host, port) = match rest.rsplit_once(':') {
                Some((host, port)) if !bracketed => (host, port.parse().map_err(|_| bad())?),
                _ => (rest, default_port),
            };
            let host = host.trim_start_matches('[').trim_end_matches(']');
            if host.is_empty() || host.contains('/') {
                return Err(bad());
            }
            Place::Host(host.to_owned(), port)
        };
        Ok(Address {
            scheme: scheme.to_owned(),
            place,
            text: text.to_owned(),
        })
    }

    /// Refuses other schemes than these.
    pub(super) fn allow(&self, schemes: &[&str]) -> Result<(), BadLogOption> {
        if schemes.contains(&self.scheme.as_str()) {
            return Ok(());
        }
        Err(BadLogOption::value(format!(
            "unsupported scheme: '{}'",
            self.scheme
        )))
    }

    /// With the host's name resolved.
    pub(super) fn resolve(&self) -> Result<Endpoint, BadLogOption> {
        let (host, port) = match &self.place {
            Place::Path(path) if self.scheme == "unixgram" => {
                return Ok(Endpoint::UnixDatagram(path.clone()));
            }
            Place::Path(path) => return Ok(Endpoint::Unix(path.clone())),
            Place::Host(host, port) => (host.as_str(), *port),
        };
        let found = (host, port)
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next());
        let address =
            found.ok_or_else(|| BadLogOption::value(format!("{}: no such host", self.text)))?;
        Ok(if self.scheme == "udp" {
            Endpoint::Udp(address)
        } else {
            Endpoint::Tcp(address)
        })
    }

    /// Without asking anybody.
    #[expect(clippy::unnecessary_wraps, reason = "stands for `resolve`")]
    pub(super) fn placeholder(&self) -> Result<Endpoint, BadLogOption> {
        match &self.place {
            Place::Path(path) => Ok(Endpoint::Unix(path.clone())),
            Place::Host(_, port) => Ok(Endpoint::Tcp(([0, 0, 0, 0], *port).into())),
        }
    }
}
