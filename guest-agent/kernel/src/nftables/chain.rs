//! Chains of rules, those the kernel enters by itself and those that rules jump to.

use super::{Batch, Table};
use crate::netlink::Writer;

/// A chain that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// Its name in the table.
    pub name: &'a str,
    /// Where packets come from, if not from other chains.
    pub base: Option<Base>,
}

/// Where the kernel enters a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// What its rules may do.
    pub kind: ChainKind,
    /// At which point of a packet's way.
    pub hook: Hook,
    /// The order among the chains of a hook, see [`priority`].
    pub priority: i32,
    /// Whether a packet is accepted that no rule decided on; dropped otherwise.
    pub accept: bool,
}

/// What the rules of a base chain may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// Accept and drop.
    Filter,
    /// Translate addresses; sees the first packet of a connection only.
    Nat,
    /// Change what routing depends on.
    Route,
}

impl ChainKind {
    const ALL: [Self; 3] = [Self::Filter, Self::Nat, Self::Route];

    fn name(self) -> &'static str {
        match self {
            ChainKind::Filter => "filter",
            ChainKind::Nat => "nat",
            ChainKind::Route => "route",
        }
    }
}

/// A point of a packet's way (`enum nf_inet_hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before it is known where it goes.
    Prerouting = 0,
    /// To this host.
    Input = 1,
    /// Through this host.
    Forward = 2,
    /// From this host.
    Output = 3,
    /// About to leave.
    Postrouting = 4,
}

impl Hook {
    const ALL: [Self; 5] = [
        Self::Prerouting,
        Self::Input,
        Self::Forward,
        Self::Output,
        Self::Postrouting,
    ];
}

/// nft's names for the order of chains (`enum nf_ip_hook_priorities`).
#[expect(missing_docs, reason = "the names are nft's and say it all")]
pub mod priority {
    pub const RAW: i32 = -300;
    pub const MANGLE: i32 = -150;
    pub const DSTNAT: i32 = -100;
    pub const FILTER: i32 = 0;
    pub const SECURITY: i32 = 50;
    pub const SRCNAT: i32 = 100;
}

impl Batch {
    /// Adds a chain, if it is not there.
    pub fn add_chain(&mut self, table: Table<'_>, chain: &Chain<'_>) {
        let what = format!("chain {}", chain.name);
        self.create(libc::NFT_MSG_NEWCHAIN, table, "add", &what, |w| {
            name(w, table, chain.name);
            if let Some(base) = chain.base {
                w.nest(NFTA_CHAIN_HOOK, |w| {
                    w.put_be32(NFTA_HOOK_HOOKNUM, base.hook as u32);
                    w.put_be32(NFTA_HOOK_PRIORITY, base.priority as u32);
                });
                w.put_be32(NFTA_CHAIN_POLICY, base.accept.into());
                w.put_text(NFTA_CHAIN_TYPE, base.kind.name());
            }
        });
    }

    /// Deletes a chain and its rules. No other rule may jump to it.
    pub fn delete_chain(&mut self, table: Table<'_>, chain: &str) {
        self.flush_chain(table, chain);
        let what = format!("chain {chain}");
        self.step(libc::NFT_MSG_DELCHAIN, 0, table, "delete", &what, |w| {
            name(w, table, chain);
        });
    }

    /// Deletes the rules of a chain.
    pub fn flush_chain(&mut self, table: Table<'_>, chain: &str) {
        let what = format!("chain {chain}");
        self.step(libc::NFT_MSG_DELRULE, 0, table, "flush", &what, |w| {
            w.put_text(super::rule::NFTA_RULE_TABLE, table.name);
            w.put_text(super::rule::NFTA_RULE_CHAIN, chain);
        });
    }
}

fn name(w: &mut Writer, table: Table<'_>, chain: &str) {
    w.put_text(NFTA_CHAIN_TABLE, table.name);
    w.put_text(NFTA_CHAIN_NAME, chain);
}

/// What of a base chain the kernel tells.
pub(super) fn parse_base(attributes: crate::netlink::Attributes<'_>) -> Option<Base> {
    use crate::netlink::wire::{be32, text};
    let hook = attributes.within(NFTA_CHAIN_HOOK);
    let number = be32(hook.find(NFTA_HOOK_HOOKNUM)?)?;
    let kind = text(attributes.find(NFTA_CHAIN_TYPE)?);
    Some(Base {
        kind: ChainKind::ALL.into_iter().find(|one| one.name() == kind)?,
        hook: Hook::ALL.into_iter().find(|one| *one as u32 == number)?,
        priority: be32(hook.find(NFTA_HOOK_PRIORITY)?)? as i32,
        accept: attributes.find(NFTA_CHAIN_POLICY).and_then(be32) == Some(1),
    })
}

/// `enum nft_chain_attributes`
pub(super) const NFTA_CHAIN_TABLE: u16 = 1;
pub(super) const NFTA_CHAIN_HANDLE: u16 = 2;
pub(super) const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
/// `enum nft_hook_attributes`
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
