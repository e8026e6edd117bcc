//! Other firewalls of this host: a drop in one of their tables is final, whatever our own table accepted. Each of them has
//! a place for rules of others; there goes one rule of ours, which lets packets through that bear our mark.

mod bus;
mod firewalld;

use proa_kernel::nftables::{Batch, Expression, Family, Nftables, Rule, Table};

use crate::{Error, Result};

use crate::firewall::{Door, MARK};
use firewalld::Firewalld;

/// A chain that a firewall leaves to others.
struct Place {
    firewall: &'static str,
    family: Family,
    chain: &'static str,
}

/// Docker's is in its documentation ("Packet filtering and firewalls"); ufw's is where `ufw route` puts rules (`ufw(8)`).
/// Both are made by iptables, whose nftables variant has this table.
const PLACES: [Place; 4] = [
    Place {
        firewall: "Docker",
        family: Family::Ipv4,
        chain: "DOCKER-USER",
    },
    Place {
        firewall: "Docker (IPv6)",
        family: Family::Ipv6,
        chain: "DOCKER-USER",
    },
    Place {
        firewall: "ufw",
        family: Family::Ipv4,
        chain: "ufw-user-forward",
    },
    Place {
        firewall: "ufw (IPv6)",
        family: Family::Ipv6,
        chain: "ufw6-user-forward",
    },
];
const TABLE: &str = "filter";

/// Our rules among those of others.
#[derive(Debug)]
pub(crate) struct Foreign {
    /// Tells our rules from those of another engine on this host.
    note: String,
    door: Door,
    allowed: bool,
}

impl Foreign {
    /// Changes nothing.
    pub(crate) fn new(engine_table: &str, allowed: bool) -> Foreign {
        Foreign {
            note: format!("{engine_table}: packets of its networks pass"),
            door: Door::default(),
            allowed,
        }
    }

    /// Puts our rule wherever there is a place for it and it is not yet, unless that is forbidden.
    pub(crate) fn settle(&self, bridges: &[String]) -> Result<()> {
        if !self.allowed {
            return Ok(());
        }
        firewalld(|firewalld| firewalld.settle(bridges))?;
        let door = self.door.open()?;
        for place in &PLACES {
            if place.is_there(&door)? && self.ours(&door, place)?.is_empty() {
                let mut batch = Batch::new();
                batch.insert_rule(place.table(), place.chain, &self.rule());
                door.commit(&batch)?;
                tracing::info!(
                    firewall = place.firewall,
                    chain = place.chain,
                    "put a rule that lets packets of our networks pass"
                );
            }
        }
        Ok(())
    }

    /// Takes a bridge back from whom it was shown to by name.
    pub(crate) fn dismiss(&self, bridge: &str) -> Result<()> {
        if self.allowed {
            firewalld(|firewalld| firewalld.leave(&[bridge.to_owned()]))?;
        }
        Ok(())
    }

    /// Takes our rules away.
    pub(crate) fn leave(&self) -> Result<()> {
        let door = self.door.open()?;
        for place in &PLACES {
            if !place.is_there(&door)? {
                continue;
            }
            let mut batch = Batch::new();
            for handle in self.ours(&door, place)? {
                batch.delete_rule(place.table(), place.chain, handle);
            }
            door.commit(&batch)?;
        }
        Ok(())
    }

    /// What there is to say of each firewall that is there.
    pub(crate) fn report(&self, bridges: &[String]) -> Result<Vec<String>> {
        let door = self.door.open()?;
        let mut report = Vec::new();
        if let Some(missing) = firewalld(|firewalld| firewalld.missing(bridges))? {
            report.push(match (missing.is_empty(), self.allowed) {
                (true, _) => {
                    "firewalld: its zone \"trusted\" has our bridges and lets their packets pass"
                        .into()
                }
                (false, true) => format!(
                    "firewalld: not in a zone, put back with the next network: {}",
                    missing.join(", ")
                ),
                (false, false) => format!(
                    "firewalld: forbidden by the settings, so that it may drop packets of: {}",
                    missing.join(", ")
                ),
            });
        }
        for place in &PLACES {
            if !place.is_there(&door)? {
                continue;
            }
            let Place {
                firewall, chain, ..
            } = place;
            report.push(match (self.ours(&door, place)?.is_empty(), self.allowed) {
                (false, _) => format!("{firewall}: a rule of ours in {chain} lets our packets pass"),
                (true, true) => format!("{firewall}: our rule is missing in {chain}; it is put back with the next network"),
                (true, false) => format!("{firewall}: a rule of ours in {chain} is forbidden by the settings; it may drop our packets"),
            });
        }
        Ok(report)
    }

    fn ours(&self, door: &Nftables, place: &Place) -> Result<Vec<u64>> {
        let rules = door.rules(place.table(), Some(place.chain))?;
        Ok(rules
            .into_iter()
            .filter(|rule| rule.chain == place.chain)
            .filter(|rule| rule.comment.as_deref() == Some(self.note.as_str()))
            .map(|rule| rule.handle)
            .collect())
    }

    /// As iptables itself writes `-m mark --mark 0x1000/0x1000 -j ACCEPT`: it must understand the tables it finds, or
    /// it refuses to work on them at all.
    fn rule(&self) -> Rule {
        Rule::new()
            .comment(self.note.clone())
            .step(Expression::Match {
                name: "mark".into(),
                revision: 1,
                info: mark_info(),
            })
            .counter()
            .accept()
    }
}

/// Asks firewalld something, if it runs.
fn firewalld<T>(ask: impl FnOnce(&mut Firewalld) -> std::io::Result<T>) -> Result<Option<T>> {
    let asked = Firewalld::find().and_then(|found| found.map(|mut one| ask(&mut one)).transpose());
    asked.map_err(|source| Error::Kernel {
        what: "ask firewalld for its zone \"trusted\"".into(),
        source,
    })
}

/// `struct xt_mark_mtinfo1` (`linux/netfilter/xt_mark.h`): mark, mask, not inverted, padding to eight bytes.
fn mark_info() -> Vec<u8> {
    let mut info = Vec::with_capacity(16);
    info.extend(MARK.to_ne_bytes());
    info.extend(MARK.to_ne_bytes());
    info.resize(16, 0);
    info
}

impl Place {
    fn table(&self) -> Table<'static> {
        Table {
            family: self.family,
            name: TABLE,
        }
    }

    fn is_there(&self, door: &Nftables) -> Result<bool> {
        Ok(door.has_chain(self.table(), self.chain)?)
    }
}
