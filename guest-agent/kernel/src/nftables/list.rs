//! What the kernel tells of its tables, chains and rules.

use super::batch::NFTA_TABLE_NAME;
use super::chain::{self, NFTA_CHAIN_HANDLE, NFTA_CHAIN_NAME, NFTA_CHAIN_TABLE};
use super::expression::{NFTA_EXPR_DATA, NFTA_EXPR_NAME};
use super::rule::{
    NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_HANDLE, NFTA_RULE_USERDATA,
    UDATA_RULE_COMMENT,
};
use super::{Base, Family};
use crate::netlink::Attributes;
use crate::netlink::wire::{be64, text};

/// `struct nfgenmsg`
const HEADER: usize = 4;

/// A table that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// Which packets it sees.
    pub family: Family,
    /// Its name.
    pub name: String,
}

/// A chain that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEntry {
    /// Its name.
    pub name: String,
    /// Its number.
    pub handle: u64,
    /// Where packets come from, if not from other chains.
    pub base: Option<Base>,
}

/// A rule that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleEntry {
    /// The chain it is in.
    pub chain: String,
    /// Its number, by which it can be deleted.
    pub handle: u64,
    /// Its note.
    pub comment: Option<String>,
    /// What its first counter counted.
    pub traffic: Option<Traffic>,
}

/// What a counter counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl TableEntry {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let attributes = Attributes::after(HEADER, body);
        Some(Self {
            family: Family::from_number(*body.first()?)?,
            name: text(attributes.find(NFTA_TABLE_NAME)?),
        })
    }
}

impl ChainEntry {
    pub(super) fn parse(body: &[u8], table: &str) -> Option<Self> {
        let attributes = Attributes::after(HEADER, body);
        if text(attributes.find(NFTA_CHAIN_TABLE)?) != table {
            return None;
        }
        Some(Self {
            name: text(attributes.find(NFTA_CHAIN_NAME)?),
            handle: be64(attributes.find(NFTA_CHAIN_HANDLE)?)?,
            base: chain::parse_base(attributes),
        })
    }
}

impl RuleEntry {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let attributes = Attributes::after(HEADER, body);
        let counter = attributes
            .within(NFTA_RULE_EXPRESSIONS)
            .find_map(|(_, expression)| {
                let expression = Attributes(expression);
                let counter = text(expression.find(NFTA_EXPR_NAME)?) == "counter";
                counter.then(|| expression.within(NFTA_EXPR_DATA))
            });
        Some(Self {
            chain: text(attributes.find(NFTA_RULE_CHAIN)?),
            handle: be64(attributes.find(NFTA_RULE_HANDLE)?)?,
            comment: attributes.find(NFTA_RULE_USERDATA).and_then(comment),
            traffic: counter.and_then(|counter| {
                Some(Traffic {
                    bytes: be64(counter.find(1)?)?,
                    packets: be64(counter.find(2)?)?,
                })
            }),
        })
    }
}

/// The comment among libnftnl's notes: type, length, value.
fn comment(mut notes: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = notes {
        let value = rest.get(..usize::from(*length))?;
        if *kind == UDATA_RULE_COMMENT {
            return Some(text(value));
        }
        notes = &rest[value.len()..];
    }
    None
}
