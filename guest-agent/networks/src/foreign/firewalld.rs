//! firewalld: what comes from an interface that is in none of its zones is refused. Its D-Bus interface
//! (`firewalld.dbus(5)`) puts our bridges into its zone `trusted`; published ports it lets in by itself.

use std::io;

use super::bus::{Answer, Bus, Method};

const SERVICE: &str = "org.fedoraproject.FirewallD1";
const ZONE: &str = "trusted";

/// firewalld, if it runs.
pub(super) struct Firewalld {
    bus: Bus,
}

impl Firewalld {
    pub(super) fn find() -> io::Result<Option<Firewalld>> {
        let Some(mut bus) = Bus::connect()? else {
            return Ok(None);
        };
        let runs = bus.has(SERVICE)?;
        Ok(runs.then_some(Firewalld { bus }))
    }

    /// Puts bridges into the zone that are in none.
    pub(super) fn settle(&mut self, bridges: &[String]) -> io::Result<()> {
        for bridge in bridges {
            if self.zone_of(bridge)?.is_empty() {
                self.change("addInterface", bridge)?;
            }
        }
        Ok(())
    }

    /// Takes bridges out of it.
    pub(super) fn leave(&mut self, bridges: &[String]) -> io::Result<()> {
        for bridge in bridges {
            if self.zone_of(bridge)? == ZONE {
                self.change("removeInterface", bridge)?;
            }
        }
        Ok(())
    }

    /// Those that it would refuse packets from.
    pub(super) fn missing(&mut self, bridges: &[String]) -> io::Result<Vec<String>> {
        let mut missing = Vec::new();
        for bridge in bridges {
            if self.zone_of(bridge)?.is_empty() {
                missing.push(bridge.clone());
            }
        }
        Ok(missing)
    }

    fn zone_of(&mut self, bridge: &str) -> io::Result<String> {
        match self.call("getZoneOfInterface", &[bridge])? {
            Answer::Text(zone) => Ok(zone),
            Answer::Refused(_, words) => Err(io::Error::other(words)),
            Answer::Truth(_) | Answer::Other => Ok(String::new()),
        }
    }

    fn change(&mut self, name: &str, bridge: &str) -> io::Result<()> {
        match self.call(name, &[ZONE, bridge])? {
            Answer::Refused(_, words) => Err(io::Error::other(words)),
            Answer::Text(_) | Answer::Truth(_) | Answer::Other => Ok(()),
        }
    }

    fn call(&mut self, name: &str, strings: &[&str]) -> io::Result<Answer> {
        let method = Method {
            service: SERVICE,
            path: "/org/fedoraproject/FirewallD1",
            interface: "org.fedoraproject.FirewallD1.zone",
            name,
        };
        self.bus.call(method, strings)
    }
}
