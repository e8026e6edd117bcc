//! The steps of a rule, as the kernel's filter works on them: values go from packets to registers, from there into
//! comparisons, sets and translations.

use super::set::NFTA_LIST_ELEM;
use super::{Family, Value};
use crate::netlink::wire::{be32, text};
use crate::netlink::{Attributes, Writer};

/// One of the sixteen registers of four bytes; longer values go on in the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(pub u8);

impl Register {
    /// `NFT_REG32_00` and on.
    fn number(self) -> u32 {
        8 + u32::from(self.0)
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on its way: to the next base chain.
    Accept,
    /// It is gone.
    Drop,
    /// The rules after the jump go on.
    Return,
    /// This chain's rules, then those after this one.
    Jump(String),
    /// This chain's rules.
    Goto(String),
}

/// What the sender of a refused packet is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// By ICMP: nobody listens there.
    PortUnreachable,
    /// By ICMP: it is forbidden.
    Prohibited,
    /// By TCP: the connection is over.
    Reset,
}

/// One step of a rule (`enum nft_*_attributes`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of the kernel's expressions"
)]
pub enum Expression {
    /// Something known about the packet, by `NFT_META_*`.
    Meta { key: u32, to: Register },
    /// The packet gets the mark in a register.
    SetMark { from: Register },
    /// Bytes of the packet; base 1 is the network's header, 2 the transport's.
    Payload {
        base: u32,
        offset: u32,
        length: u32,
        to: Register,
    },
    /// Something of the connection, by `NFT_CT_*`.
    Ct {
        key: u32,
        original: bool,
        to: Register,
    },
    /// The connection gets the mark in a register.
    SetCtMark { from: Register },
    /// What the routes say, by `NFT_FIB_RESULT_*` and `NFTA_FIB_F_*`.
    Fib {
        result: u32,
        flags: u32,
        to: Register,
    },
    /// `register & mask`
    Mask { register: Register, mask: Vec<u8> },
    /// `register | bits`
    SetBits { register: Register, bits: Vec<u8> },
    /// The rule ends unless they are the same, or with `not`, if they are.
    Compare {
        register: Register,
        not: bool,
        value: Vec<u8>,
    },
    /// The rule ends unless the register's value is in the set, or with `not`, if it is. Of a map, what it leads to
    /// goes to a register.
    Lookup {
        set: String,
        key: Register,
        not: bool,
        to: Option<Register>,
    },
    /// The verdict that a map leads to.
    LookupVerdict { map: String, key: Register },
    /// A value for a register.
    Immediate { to: Register, value: Vec<u8> },
    /// What becomes of the packet.
    Verdict(Verdict),
    /// The address and port to translate to, the source's or the destination's.
    Nat {
        source: bool,
        family: Family,
        address: Option<Register>,
        port: Option<Register>,
    },
    /// The source becomes the address of the interface where it leaves.
    Masquerade,
    /// The destination becomes this host, at the port in a register.
    Redirect { port: Option<Register> },
    /// Counts.
    Counter,
    /// The packet is refused.
    Reject(Rejection),
    /// A match of iptables, as its nftables variant writes it.
    Match {
        name: String,
        revision: u32,
        info: Vec<u8>,
    },
    /// The rule ends if there were more packets than these in a second.
    Limit { packets: u64, burst: u32 },
}

impl Expression {
    fn name(&self) -> &'static str {
        match self {
            Expression::Meta { .. } | Expression::SetMark { .. } => "meta",
            Expression::Payload { .. } => "payload",
            Expression::Ct { .. } | Expression::SetCtMark { .. } => "ct",
            Expression::Fib { .. } => "fib",
            Expression::Mask { .. } | Expression::SetBits { .. } => "bitwise",
            Expression::Compare { .. } => "cmp",
            Expression::Lookup { .. } | Expression::LookupVerdict { .. } => "lookup",
            Expression::Immediate { .. } | Expression::Verdict(_) => "immediate",
            Expression::Nat { .. } => "nat",
            Expression::Masquerade => "masq",
            Expression::Redirect { .. } => "redir",
            Expression::Counter => "counter",
            Expression::Reject(_) => "reject",
            Expression::Match { .. } => "match",
            Expression::Limit { .. } => "limit",
        }
    }

    pub(super) fn put(&self, w: &mut Writer) {
        w.nest(NFTA_LIST_ELEM, |w| {
            w.put_text(NFTA_EXPR_NAME, self.name());
            w.nest(NFTA_EXPR_DATA, |w| self.put_fields(w));
        });
    }

    /// The attributes of each are numbered anew, in `enum nft_meta_attributes` and its like.
    fn put_fields(&self, w: &mut Writer) {
        match self {
            Expression::Meta { .. }
            | Expression::Payload { .. }
            | Expression::Ct { .. }
            | Expression::Fib { .. }
            | Expression::Immediate { .. }
            | Expression::Mask { .. }
            | Expression::SetBits { .. } => self.put_load(w),
            Expression::Compare { .. }
            | Expression::Lookup { .. }
            | Expression::LookupVerdict { .. }
            | Expression::Match { .. }
            | Expression::Limit { .. } => self.put_condition(w),
            Expression::SetMark { .. }
            | Expression::SetCtMark { .. }
            | Expression::Verdict(_)
            | Expression::Nat { .. }
            | Expression::Masquerade
            | Expression::Redirect { .. }
            | Expression::Counter
            | Expression::Reject(_) => self.put_action(w),
        }
    }

    /// What fills a register.
    fn put_load(&self, w: &mut Writer) {
        match self {
            Expression::Meta { key, to } => {
                w.put_be32(1, to.number());
                w.put_be32(2, *key);
            }
            Expression::Payload {
                base,
                offset,
                length,
                to,
            } => {
                w.put_be32(1, to.number());
                w.put_be32(2, *base);
                w.put_be32(3, *offset);
                w.put_be32(4, *length);
            }
            Expression::Ct { key, original, to } => {
                w.put_be32(1, to.number());
                w.put_be32(2, *key);
                if *original {
                    w.put(3, &[0]);
                }
            }
            Expression::Fib { result, flags, to } => {
                w.put_be32(1, to.number());
                w.put_be32(2, *result);
                w.put_be32(3, *flags);
            }
            Expression::Immediate { to, value } => {
                w.put_be32(1, to.number());
                w.nest(2, |w| put_value(w, value));
            }
            Expression::Mask { register, mask } => {
                put_bitwise(w, *register, mask, &vec![0; mask.len()]);
            }
            Expression::SetBits { register, bits } => {
                let others: Vec<u8> = bits.iter().map(|byte| !byte).collect();
                put_bitwise(w, *register, &others, bits);
            }
            _ => {}
        }
    }

    /// What decides whether the rule goes on.
    fn put_condition(&self, w: &mut Writer) {
        match self {
            Expression::Compare {
                register,
                not,
                value,
            } => {
                w.put_be32(1, register.number());
                w.put_be32(2, (*not).into());
                w.nest(3, |w| put_value(w, value));
            }
            Expression::Lookup { set, key, not, to } => {
                w.put_text(1, set);
                w.put_be32(2, key.number());
                put_register(w, 3, *to);
                w.put_be32(5, (*not).into());
            }
            Expression::LookupVerdict { map, key } => {
                w.put_text(1, map);
                w.put_be32(2, key.number());
                w.put_be32(3, NFT_REG_VERDICT);
            }
            Expression::Match {
                name,
                revision,
                info,
            } => {
                w.put_text(1, name);
                w.put_be32(2, *revision);
                w.put(3, info);
            }
            Expression::Limit { packets, burst } => {
                w.put_be64(1, *packets);
                w.put_be64(2, 1);
                w.put_be32(3, *burst);
                w.put_be32(4, 0);
                w.put_be32(5, 0);
            }
            _ => {}
        }
    }

    /// What happens to the packet.
    fn put_action(&self, w: &mut Writer) {
        match self {
            Expression::SetMark { from } => {
                w.put_be32(2, libc::NFT_META_MARK as u32);
                w.put_be32(3, from.number());
            }
            Expression::SetCtMark { from } => {
                w.put_be32(2, libc::NFT_CT_MARK as u32);
                w.put_be32(4, from.number());
            }
            Expression::Verdict(verdict) => {
                w.put_be32(1, NFT_REG_VERDICT);
                w.nest(2, |w| put_verdict(w, verdict));
            }
            Expression::Nat {
                source,
                family,
                address,
                port,
            } => {
                w.put_be32(1, (!*source).into());
                w.put_be32(2, *family as u32);
                put_register(w, 3, *address);
                put_register(w, 5, *port);
            }
            Expression::Redirect { port } => put_register(w, 1, *port),
            Expression::Counter => {
                w.put_be64(1, 0);
                w.put_be64(2, 0);
            }
            Expression::Reject(rejection) => put_rejection(w, *rejection),
            _ => {}
        }
    }
}

fn put_register(w: &mut Writer, kind: u16, register: Option<Register>) {
    if let Some(register) = register {
        w.put_be32(kind, register.number());
    }
}

/// `(register & mask) ^ flipped`
fn put_bitwise(w: &mut Writer, register: Register, mask: &[u8], flipped: &[u8]) {
    w.put_be32(1, register.number());
    w.put_be32(2, register.number());
    w.put_be32(3, mask.len() as u32);
    w.nest(4, |w| put_value(w, mask));
    w.nest(5, |w| put_value(w, flipped));
}

fn put_rejection(w: &mut Writer, rejection: Rejection) {
    // NFT_REJECT_ICMPX_UNREACH stands for both families' ICMP; its codes are its own.
    let (kind, code) = match rejection {
        Rejection::PortUnreachable => (2, 1),
        Rejection::Prohibited => (2, 3),
        Rejection::Reset => (1, 0),
    };
    w.put_be32(1, kind);
    w.put(2, &[code]);
}

/// `NFTA_DATA_VALUE`
pub(super) fn put_value(w: &mut Writer, value: &[u8]) {
    w.put(1, value);
}

/// `NFTA_DATA_VERDICT`
pub(super) fn put_verdict(w: &mut Writer, verdict: &Verdict) {
    let (code, chain) = match verdict {
        Verdict::Drop => (0, None),
        Verdict::Accept => (1, None),
        Verdict::Jump(chain) => (-3, Some(chain)),
        Verdict::Goto(chain) => (-4, Some(chain)),
        Verdict::Return => (-5, None),
    };
    w.nest(2, |w| {
        w.put_be32(1, i32::cast_unsigned(code));
        if let Some(chain) = chain {
            w.put_text(2, chain);
        }
    });
}

/// Reads what [`put_verdict`] writes.
pub(super) fn parse_verdict(data: Attributes<'_>) -> Option<Verdict> {
    let verdict = data.within(2);
    let chain = || verdict.find(2).map(text);
    Some(match be32(verdict.find(1)?)?.cast_signed() {
        0 => Verdict::Drop,
        1 => Verdict::Accept,
        -3 => Verdict::Jump(chain()?),
        -4 => Verdict::Goto(chain()?),
        -5 => Verdict::Return,
        _ => return None,
    })
}

impl From<&Value> for Vec<u8> {
    fn from(value: &Value) -> Vec<u8> {
        value.bytes()
    }
}

/// `enum nft_expr_attributes`
pub(super) const NFTA_EXPR_NAME: u16 = 1;
pub(super) const NFTA_EXPR_DATA: u16 = 2;
/// The register whose value decides on the packet.
const NFT_REG_VERDICT: u32 = 0;
