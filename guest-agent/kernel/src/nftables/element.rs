//! Elements of sets and maps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::expression::{parse_verdict, put_value, put_verdict};
use super::set::{NFTA_LIST_ELEM, Target};
use super::{Batch, Set, Table, Type, Value, Verdict};
use crate::netlink::wire::be32;
use crate::netlink::{Attributes, Writer};

/// An element of a set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Its key, or the lowest of its range.
    pub key: Vec<Value>,
    /// The highest key of its range.
    pub to: Option<Vec<Value>>,
    /// What it leads to, in a map.
    pub data: Option<Mapped>,
}

/// What an element of a map leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// A row of values.
    Values(Vec<Value>),
    /// A verdict.
    Verdict(Verdict),
}

impl Element {
    /// One key.
    pub fn new(key: impl IntoIterator<Item = Value>) -> Self {
        Self {
            key: key.into_iter().collect(),
            to: None,
            data: None,
        }
    }

    /// All addresses with a prefix.
    pub fn prefix(net: IpNet) -> Self {
        Self {
            key: vec![net.network().into()],
            to: Some(vec![net.broadcast().into()]),
            data: None,
        }
    }

    /// The same, leading to values.
    pub fn with(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.data = Some(Mapped::Values(values.into_iter().collect()));
        self
    }

    /// The same, leading to a verdict.
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.data = Some(Mapped::Verdict(verdict));
        self
    }

    fn describe(&self) -> String {
        let join = |values: &[Value]| {
            let texts: Vec<_> = values.iter().map(ToString::to_string).collect();
            texts.join(" . ")
        };
        match &self.to {
            Some(to) => format!("{} to {}", join(&self.key), join(to)),
            None => join(&self.key),
        }
    }
}

impl Batch {
    /// Adds elements. Those that are there already are left alone; one that leads elsewhere now is an error.
    pub fn add_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) {
        let flags = libc::NLM_F_CREATE as u16;
        self.elements(libc::NFT_MSG_NEWSETELEM, flags, table, "add", set, elements);
    }

    /// Deletes elements, which must be there.
    pub fn delete_elements(&mut self, table: Table<'_>, set: &str, elements: &[Element]) {
        self.elements(libc::NFT_MSG_DELSETELEM, 0, table, "delete", set, elements);
    }

    /// Deletes all elements.
    pub fn flush_set(&mut self, table: Table<'_>, set: &str) {
        let what = format!("set {set}");
        self.step(libc::NFT_MSG_DELSETELEM, 0, table, "flush", &what, |w| {
            w.put_text(NFTA_SET_ELEM_LIST_TABLE, table.name);
            w.put_text(NFTA_SET_ELEM_LIST_SET, set);
        });
    }

    fn elements(
        &mut self,
        kind: libc::c_int,
        flags: u16,
        table: Table<'_>,
        action: &'static str,
        set: &str,
        elements: &[Element],
    ) {
        // The length of an attribute has two bytes, and all elements of a message are in one.
        for some in elements.chunks(256) {
            let what = match some {
                [one] => format!("element {} of {set}", one.describe()),
                _ => format!("{} elements of {set}", some.len()),
            };
            self.step(kind, flags, table, action, &what, |w| {
                w.put_text(NFTA_SET_ELEM_LIST_TABLE, table.name);
                w.put_text(NFTA_SET_ELEM_LIST_SET, set);
                w.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |w| {
                    for element in some {
                        put(w, element);
                    }
                });
            });
        }
    }
}

/// A range of plain keys is two elements, the second of them the first key beyond; a range of several parts is one.
fn put(w: &mut Writer, element: &Element) {
    let key = Value::concatenate(&element.key);
    let to = element.to.as_ref().map(|to| Value::concatenate(to));
    let several = element.key.len() > 1;
    w.nest(NFTA_LIST_ELEM, |w| {
        w.nest(NFTA_SET_ELEM_KEY, |w| put_value(w, &key));
        if let (true, Some(to)) = (several, &to) {
            w.nest(NFTA_SET_ELEM_KEY_END, |w| put_value(w, to));
        }
        match &element.data {
            None => {}
            Some(Mapped::Values(values)) => {
                w.nest(NFTA_SET_ELEM_DATA, |w| {
                    put_value(w, &Value::concatenate(values));
                });
            }
            Some(Mapped::Verdict(verdict)) => {
                w.nest(NFTA_SET_ELEM_DATA, |w| put_verdict(w, verdict));
            }
        }
    });
    // Beyond the highest key there is none, and none is needed.
    if let (false, Some(beyond)) = (several, to.and_then(successor)) {
        w.nest(NFTA_LIST_ELEM, |w| {
            w.put_be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
            w.nest(NFTA_SET_ELEM_KEY, |w| put_value(w, &beyond));
        });
    }
}

fn successor(mut key: Vec<u8>) -> Option<Vec<u8>> {
    for byte in key.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(key);
        }
    }
    None
}

fn predecessor(mut key: Vec<u8>) -> Vec<u8> {
    for byte in key.iter_mut().rev() {
        *byte = byte.wrapping_sub(1);
        if *byte != u8::MAX {
            break;
        }
    }
    key
}

/// An element as the kernel lists it: half of one, if it is a plain range.
#[derive(Debug)]
pub(super) struct Half {
    key: Vec<u8>,
    to: Option<Vec<u8>>,
    end: bool,
    data: Option<Mapped>,
}

/// The elements in one message of a list.
pub(super) fn parse(body: &[u8], set: &Set<'_>, into: &mut Vec<Half>) {
    let list = Attributes::after(4, body).within(NFTA_SET_ELEM_LIST_ELEMENTS);
    for (_, element) in list {
        let attributes = Attributes(element);
        let value = |kind| attributes.within(kind).find(1).map(<[u8]>::to_vec);
        let Some(key) = value(NFTA_SET_ELEM_KEY) else {
            continue;
        };
        let flags = attributes.find(NFTA_SET_ELEM_FLAGS).and_then(be32);
        let data = match set.data {
            None => None,
            Some(Target::Verdict) => {
                parse_verdict(attributes.within(NFTA_SET_ELEM_DATA)).map(Mapped::Verdict)
            }
            Some(Target::Values(types)) => value(NFTA_SET_ELEM_DATA)
                .and_then(|bytes| Type::values(types, &bytes))
                .map(Mapped::Values),
        };
        into.push(Half {
            key,
            to: value(NFTA_SET_ELEM_KEY_END),
            end: flags.unwrap_or(0) & NFT_SET_ELEM_INTERVAL_END != 0,
            data,
        });
    }
}

/// Puts the halves of ranges together, lowest key first.
pub(super) fn join(mut halves: Vec<Half>, set: &Set<'_>) -> Vec<Element> {
    // A range may end where the next begins: its end comes first then.
    halves.sort_by(|a, b| (&a.key, !a.end).cmp(&(&b.key, !b.end)));
    let plain = set.interval && set.key.len() == 1;
    let ends: Vec<_> = halves
        .iter()
        .filter(|half| half.end)
        .map(|half| half.key.clone())
        .collect();
    halves
        .into_iter()
        .filter(|half| !half.end)
        .filter_map(|half| {
            let to = if plain {
                let end = ends.iter().find(|end| **end > half.key);
                Some(end.map_or_else(
                    || vec![u8::MAX; half.key.len()],
                    |end| predecessor(end.clone()),
                ))
            } else {
                half.to
            };
            Some(Element {
                key: Type::values(set.key, &half.key)?,
                to: match to {
                    Some(to) => Some(Type::values(set.key, &to)?),
                    None => None,
                },
                data: half.data,
            })
        })
        .collect()
}

impl Element {
    /// The prefix that this range is, if it is one.
    pub fn as_prefix(&self) -> Option<IpNet> {
        let ([Value::Address(first)], Some([Value::Address(last)])) =
            (&self.key[..], self.to.as_deref())
        else {
            return None;
        };
        let length = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => same_v4(*first, *last),
            (IpAddr::V6(first), IpAddr::V6(last)) => same_v6(*first, *last),
            _ => return None,
        };
        let net = IpNet::new(*first, length).ok()?;
        (net.network() == *first && net.broadcast() == *last).then_some(net)
    }
}

fn same_v4(first: Ipv4Addr, last: Ipv4Addr) -> u8 {
    (first.to_bits() ^ last.to_bits()).leading_zeros() as u8
}

fn same_v6(first: Ipv6Addr, last: Ipv6Addr) -> u8 {
    (first.to_bits() ^ last.to_bits()).leading_zeros() as u8
}

/// `enum nft_set_elem_list_attributes`
pub(super) const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
pub(super) const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
/// `enum nft_set_elem_attributes`
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFTA_SET_ELEM_FLAGS: u16 = 3;
const NFTA_SET_ELEM_KEY_END: u16 = 10;
/// `enum nft_set_elem_flags`
const NFT_SET_ELEM_INTERVAL_END: u32 = 1;
