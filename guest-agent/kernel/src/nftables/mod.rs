//! The kernel's packet filter over `NETLINK_NETFILTER` (`linux/netfilter/nf_tables.h`), in nft's words.
//!
//! A [`Batch`] collects changes; [`Nftables::commit`] makes all of them at one instant or none. What is made here is
//! written as `nft` writes it, so that `nft list ruleset` shows it to people.
//!
//! Start at [`Nftables`] and [`Batch`]; what a rule says is put together in [`Rule`].

mod batch;
mod chain;
mod element;
mod expression;
mod list;
mod open;
mod rule;
mod set;
mod value;

pub use crate::netlink::{Error, Result};
pub use batch::{Batch, Family, Table};
pub use chain::{Base, Chain, ChainKind, Hook, priority};
pub use element::{Element, Mapped};
pub use expression::{Expression, Register, Rejection, Verdict};
pub use list::{ChainEntry, RuleEntry, TableEntry, Traffic};
pub use open::Nftables;
pub use rule::{Field, Rule, bits};
pub use set::{Set, Target, Type};
pub use value::Value;

/// What the tests of arbitrary bytes reach.
#[cfg(test)]
pub(crate) fn take_apart(bytes: &[u8]) {
    let _ = TableEntry::parse(bytes);
    let _ = ChainEntry::parse(bytes, "");
    let _ = RuleEntry::parse(bytes);
    for data in [
        None,
        Some(Target::Verdict),
        Some(Target::Values(&[Type::Ipv4, Type::Port])),
    ] {
        let key: &[Type] = if data.is_none() {
            &[Type::Ipv6]
        } else {
            &[Type::Interface, Type::Mark]
        };
        let set = Set {
            name: "",
            key,
            interval: data.is_none(),
            data,
        };
        let mut halves = Vec::new();
        element::parse(bytes, &set, &mut halves);
        let _ = element::join(halves, &set);
    }
}

#[cfg(test)]
mod tests;
