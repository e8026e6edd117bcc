//! The firewall: one table of our own.
//!
//! An accept in one table never overrides a drop in another; what other firewalls on this host need is in
//! `foreign`.

mod door;
mod elements;
mod ruleset;
mod trace;

pub(crate) use door::{Door, undone};
pub(crate) use elements::number;
pub(crate) use ruleset::MARK;
pub use trace::Traced;

use proa_kernel::conntrack::{Conntrack, Flows};
use proa_kernel::nftables::{Batch, Family, Table};

use crate::state::{State, Translation};
use crate::{Network, Published, Result};

/// Our table. Each change of it is one transaction: packets meet the rules before it or after it.
#[derive(Debug)]
pub(crate) struct Firewall {
    table: String,
    door: Door,
}

impl Firewall {
    /// Changes nothing.
    pub(crate) fn new(table: &str) -> Firewall {
        Firewall {
            table: table.to_owned(),
            door: Door::default(),
        }
    }

    fn table(&self) -> Table<'_> {
        Table {
            family: Family::Inet,
            name: &self.table,
        }
    }

    /// Whether the table is there.
    pub(crate) fn is_there(&self) -> Result<bool> {
        Ok(self.door.open()?.has_table(self.table())?)
    }

    /// Makes the table say what is in `state`, whatever it said before, at one instant.
    pub(crate) fn renew(&self, state: &State) -> Result<()> {
        let mut batch = Batch::new();
        batch.remove_table(self.table());
        let mut whole = ruleset::table(self.table());
        let networks = state.networks.values();
        let mut placed: Vec<_> = networks
            .flat_map(|member| elements::of_network(&member.network))
            .collect();
        placed.extend(state.ports.iter().filter_map(elements::of_port));
        elements::add(&mut whole, self.table(), &placed);
        batch.append(whole);
        Ok(self.door.open()?.commit(&batch)?)
    }

    /// Lets a network in; makes the table with the first.
    pub(crate) fn admit(&self, network: &Network) -> Result<()> {
        let placed = elements::of_network(network);
        if placed.is_empty() {
            return Ok(());
        }
        let door = self.door.open()?;
        let mut batch = if door.has_table(self.table())? {
            Batch::new()
        } else {
            ruleset::table(self.table())
        };
        elements::add(&mut batch, self.table(), &placed);
        Ok(door.commit(&batch)?)
    }

    /// Takes a network out, which is in `state` no more.
    pub(crate) fn dismiss(&self, network: &Network, state: &State) -> Result<()> {
        let mut batch = Batch::new();
        elements::delete(&mut batch, self.table(), &elements::of_network(network));
        self.commit_removal(&batch, state)
    }

    /// Removes the table.
    pub(crate) fn remove(&self) -> Result<()> {
        let mut batch = Batch::new();
        batch.remove_table(self.table());
        Ok(self.door.open()?.commit(&batch)?)
    }

    /// Begins to translate ports.
    pub(crate) fn publish(&self, ports: &[Translation]) -> Result<()> {
        let placed: Vec<_> = ports.iter().filter_map(elements::of_port).collect();
        let mut batch = Batch::new();
        elements::add(&mut batch, self.table(), &placed);
        Ok(self.door.open()?.commit(&batch)?)
    }

    /// Ends the translation of ports, which are in `state` no more.
    pub(crate) fn unpublish(&self, ports: &[Translation], state: &State) -> Result<()> {
        let placed: Vec<_> = ports.iter().filter_map(elements::of_port).collect();
        let mut batch = Batch::new();
        elements::delete(&mut batch, self.table(), &placed);
        self.commit_removal(&batch, state)
    }

    /// What is gone already was removed by somebody else, as by `nft flush ruleset`: then all is said anew.
    fn commit_removal(&self, batch: &Batch, state: &State) -> Result<()> {
        let done = self.door.open()?.commit(batch);
        match done {
            Err(error) if error.is_missing() => self.renew(state),
            done => Ok(done?),
        }
    }

    /// Has the kernel forget the connections to a published port.
    pub(crate) fn forget(&self, port: &Published) -> Result<()> {
        let flows = Flows::to(number(port.protocol), port.address, port.port);
        Conntrack::open()?.forget(&flows)?;
        Ok(())
    }
}
