//! Named sets and maps: what kind of thing they hold.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Batch, Table, Value};
use crate::netlink::Writer;
use crate::netlink::wire::text;

/// The kind of one value, as nft numbers them: the kernel keeps these for whoever lists the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `ipv4_addr`
    Ipv4 = 7,
    /// `ipv6_addr`
    Ipv6 = 8,
    /// `inet_proto`
    Protocol = 12,
    /// `inet_service`
    Port = 13,
    /// `mark`
    Mark = 19,
    /// `ifname`
    Interface = 41,
}

impl Type {
    pub(super) fn length(self) -> usize {
        match self {
            Type::Ipv4 | Type::Mark => 4,
            Type::Ipv6 | Type::Interface => 16,
            Type::Protocol => 1,
            Type::Port => 2,
        }
    }

    /// Numbers and names are compared as this machine has them, the rest as networks have them.
    fn byte_order(self) -> u32 {
        match self {
            Type::Mark | Type::Interface => HOST_ENDIAN,
            Type::Ipv4 | Type::Ipv6 | Type::Protocol | Type::Port => BIG_ENDIAN,
        }
    }

    /// Reads a value of this kind.
    fn value(self, bytes: &[u8]) -> Option<Value> {
        Some(match self {
            Type::Ipv4 => Ipv4Addr::from(*bytes.first_chunk::<4>()?).into(),
            Type::Ipv6 => Ipv6Addr::from(*bytes.first_chunk::<16>()?).into(),
            Type::Protocol => Value::Byte(*bytes.first()?),
            Type::Port => Value::Port(u16::from_be_bytes(*bytes.first_chunk()?)),
            Type::Mark => Value::Number(u32::from_ne_bytes(*bytes.first_chunk()?)),
            Type::Interface => Value::Interface(text(bytes)),
        })
    }

    /// Reads a row of values.
    pub(super) fn values(types: &[Type], mut bytes: &[u8]) -> Option<Vec<Value>> {
        let mut values = Vec::with_capacity(types.len());
        for one in types {
            values.push(one.value(bytes)?);
            bytes = bytes
                .get(one.length().next_multiple_of(4)..)
                .unwrap_or_default();
        }
        Some(values)
    }

    /// The length of a row of values.
    fn row(types: &[Type]) -> usize {
        match types {
            [one] => one.length(),
            several => several
                .iter()
                .map(|one| one.length().next_multiple_of(4))
                .sum(),
        }
    }

    /// nft's number for a row of kinds: six bits each.
    fn number(types: &[Type]) -> u32 {
        types.iter().fold(0, |sum, one| sum << 6 | *one as u32)
    }
}

/// A named set, or a map if it has data.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a> {
    /// Its name in the table.
    pub name: &'a str,
    /// The kinds of its keys' parts.
    pub key: &'a [Type],
    /// Whether its elements are ranges, as prefixes are.
    pub interval: bool,
    /// What it maps to.
    pub data: Option<Target<'a>>,
}

/// What a map leads to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A row of values of these kinds.
    Values(&'a [Type]),
    /// A verdict.
    Verdict,
}

impl Batch {
    /// Adds a set or map, if it is not there.
    pub fn add_set(&mut self, table: Table<'_>, set: &Set<'_>) {
        let what = format!("set {}", set.name);
        // Sets that are told apart within a batch need numbers; these have names.
        let id = self.steps.len() as u32 + 1;
        self.create(libc::NFT_MSG_NEWSET, table, "add", &what, |w| {
            w.put_text(NFTA_SET_TABLE, table.name);
            w.put_text(NFTA_SET_NAME, set.name);
            w.put_be32(NFTA_SET_FLAGS, flags(set));
            w.put_be32(NFTA_SET_KEY_TYPE, Type::number(set.key));
            w.put_be32(NFTA_SET_KEY_LEN, Type::row(set.key) as u32);
            if let Some(target) = set.data {
                put_target(w, target);
            }
            w.put_be32(NFTA_SET_ID, id);
            if set.interval && set.key.len() > 1 {
                put_fields(w, set.key);
            }
            put_user_data(w, set);
        });
    }

    /// Deletes a set or map. No rule may use it.
    pub fn delete_set(&mut self, table: Table<'_>, set: &str) {
        let what = format!("set {set}");
        self.step(libc::NFT_MSG_DELSET, 0, table, "delete", &what, |w| {
            w.put_text(NFTA_SET_TABLE, table.name);
            w.put_text(NFTA_SET_NAME, set);
        });
    }
}

fn flags(set: &Set<'_>) -> u32 {
    let interval = if set.interval { NFT_SET_INTERVAL } else { 0 };
    let map = if set.data.is_some() { NFT_SET_MAP } else { 0 };
    let several = if set.interval && set.key.len() > 1 {
        NFT_SET_CONCAT
    } else {
        0
    };
    interval | map | several
}

fn put_target(w: &mut Writer, target: Target<'_>) {
    match target {
        Target::Verdict => {
            w.put_be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
        }
        Target::Values(types) => {
            w.put_be32(NFTA_SET_DATA_TYPE, Type::number(types));
            w.put_be32(NFTA_SET_DATA_LEN, Type::row(types) as u32);
        }
    }
}

/// The lengths of a key's parts, without which ranges of them cannot be told apart.
fn put_fields(w: &mut Writer, types: &[Type]) {
    w.nest(NFTA_SET_DESC, |w| {
        w.nest(NFTA_SET_DESC_CONCAT, |w| {
            for one in types {
                w.nest(NFTA_LIST_ELEM, |w| {
                    w.put_be32(NFTA_SET_FIELD_LEN, one.length() as u32);
                });
            }
        });
    });
}

/// What nft notes down for itself (libnftnl's `udata.h`): type, length, value.
fn put_user_data(w: &mut Writer, set: &Set<'_>) {
    let mut note = Vec::new();
    let mut put = |kind: u8, types: &[Type]| {
        let order = match types {
            [one] => one.byte_order(),
            _ => BIG_ENDIAN,
        };
        note.extend([kind, 4]);
        note.extend(order.to_ne_bytes());
    };
    put(UDATA_SET_KEYBYTEORDER, set.key);
    if let Some(Target::Values(types)) = set.data {
        put(UDATA_SET_DATABYTEORDER, types);
    }
    w.put(NFTA_SET_USERDATA, &note);
}

/// `enum nft_set_attributes`
pub(super) const NFTA_SET_TABLE: u16 = 1;
pub(super) const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_DESC: u16 = 9;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_USERDATA: u16 = 13;
/// `enum nft_set_desc_attributes`, `enum nft_set_field_attributes`
const NFTA_SET_DESC_CONCAT: u16 = 2;
const NFTA_SET_FIELD_LEN: u16 = 1;
/// `enum nft_list_attributes`
pub(super) const NFTA_LIST_ELEM: u16 = 1;
/// `enum nft_set_flags`
const NFT_SET_INTERVAL: u32 = 0x4;
const NFT_SET_MAP: u32 = 0x8;
const NFT_SET_CONCAT: u32 = 0x80;
/// The type of data that is a verdict.
const NFT_DATA_VERDICT: u32 = 0xffff_ff00;
/// libnftnl's `enum nftnl_udata_set_types` and nft's `enum byteorder`.
const UDATA_SET_KEYBYTEORDER: u8 = 0;
const UDATA_SET_DATABYTEORDER: u8 = 1;
const HOST_ENDIAN: u32 = 1;
const BIG_ENDIAN: u32 = 2;
