//! Rules: conditions on packets, then what becomes of those that meet them all.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Batch, Expression, Family, Register, Rejection, Table, Value, Verdict};
use crate::netlink::Writer;

const NETWORK: u32 = libc::NFT_PAYLOAD_NETWORK_HEADER as u32;
const TRANSPORT: u32 = libc::NFT_PAYLOAD_TRANSPORT_HEADER as u32;
/// Where conditions have their values; nothing outlives a condition.
const FIRST: Register = Register(0);

/// Something of a packet that conditions are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The interface it came in by: a name.
    Incoming,
    /// The interface it goes out by: a name.
    Outgoing,
    /// [`Family::Ipv4`] or [`Family::Ipv6`], as a byte.
    Family,
    /// The protocol above IP: a byte.
    Protocol,
    /// The packet's mark: a number.
    Mark,
    /// The source's address.
    SourceIpv4,
    /// The destination's address.
    DestinationIpv4,
    /// The source's address.
    SourceIpv6,
    /// The destination's address.
    DestinationIpv6,
    /// The source's port; to be asked only where the protocol has ports.
    SourcePort,
    /// The destination's port; to be asked only where the protocol has ports.
    DestinationPort,
    /// The connection's state: [`bits::NEW`] and so on.
    State,
    /// The connection's status: [`bits::DESTINATION_TRANSLATED`] and so on.
    Status,
    /// The connection's mark: a number.
    ConnectionMark,
    /// The port the connection was opened to, before translation.
    OriginalPort,
    /// What the destination's address is to this host: [`bits::LOCAL`] and so on.
    DestinationKind,
    /// What the source's address is to this host.
    SourceKind,
}

/// Values of [`Field`]s that are made of bits or counted by the kernel.
pub mod bits {
    /// State: part of no connection, and cannot begin one.
    pub const INVALID: u32 = 1;
    /// State: packets went both ways.
    pub const ESTABLISHED: u32 = 2;
    /// State: belongs to another connection, as errors do.
    pub const RELATED: u32 = 4;
    /// State: nothing came back yet.
    pub const NEW: u32 = 8;
    /// Status: the source is translated.
    pub const SOURCE_TRANSLATED: u32 = 1 << 4;
    /// Status: the destination is translated.
    pub const DESTINATION_TRANSLATED: u32 = 1 << 5;
    /// Kind of address: reached by a route.
    pub const UNICAST: u32 = 1;
    /// Kind of address: this host's.
    pub const LOCAL: u32 = 2;
}

impl Field {
    /// The steps that put it into registers.
    fn load(self, to: Register) -> Expression {
        let meta = |key: i32| Expression::Meta {
            key: key as u32,
            to,
        };
        let ct = |key: i32, original| Expression::Ct {
            key: key as u32,
            original,
            to,
        };
        let packet = |base, offset, length| Expression::Payload {
            base,
            offset,
            length,
            to,
        };
        let fib = |flags| Expression::Fib {
            result: NFT_FIB_RESULT_ADDRTYPE,
            flags,
            to,
        };
        match self {
            Field::Incoming => meta(libc::NFT_META_IIFNAME),
            Field::Outgoing => meta(libc::NFT_META_OIFNAME),
            Field::Family => meta(libc::NFT_META_NFPROTO),
            Field::Protocol => meta(libc::NFT_META_L4PROTO),
            Field::Mark => meta(libc::NFT_META_MARK),
            // RFC 791 and RFC 8200: where the addresses are; RFC 9293 and the like: the ports come first.
            Field::SourceIpv4 => packet(NETWORK, 12, 4),
            Field::DestinationIpv4 => packet(NETWORK, 16, 4),
            Field::SourceIpv6 => packet(NETWORK, 8, 16),
            Field::DestinationIpv6 => packet(NETWORK, 24, 16),
            Field::SourcePort => packet(TRANSPORT, 0, 2),
            Field::DestinationPort => packet(TRANSPORT, 2, 2),
            Field::State => ct(libc::NFT_CT_STATE, false),
            Field::Status => ct(libc::NFT_CT_STATUS, false),
            Field::ConnectionMark => ct(libc::NFT_CT_MARK, false),
            Field::OriginalPort => ct(libc::NFT_CT_PROTO_DST, true),
            Field::DestinationKind => fib(NFTA_FIB_F_DADDR),
            Field::SourceKind => fib(NFTA_FIB_F_SADDR),
        }
    }

    /// How many registers it fills.
    fn registers(self) -> u8 {
        match self {
            Field::Incoming | Field::Outgoing | Field::SourceIpv6 | Field::DestinationIpv6 => 4,
            _ => 1,
        }
    }

    /// The family without which it would be read from the wrong place.
    fn family(self) -> Option<Family> {
        match self {
            Field::SourceIpv4 | Field::DestinationIpv4 => Some(Family::Ipv4),
            Field::SourceIpv6 | Field::DestinationIpv6 => Some(Family::Ipv6),
            _ => None,
        }
    }
}

/// A rule in the making, read from left to right.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    expressions: Vec<Expression>,
    family: Option<Family>,
    comment: Option<String>,
}

impl Rule {
    /// A rule that says nothing of any packet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A note, to find it again and to explain it in lists. At most 128 bytes, as in nft.
    pub fn comment(mut self, text: impl Into<String>) -> Self {
        self.comment = Some(text.into());
        self
    }

    /// A step of any kind.
    pub fn step(mut self, expression: Expression) -> Self {
        self.expressions.push(expression);
        self
    }

    /// Loads fields into registers one after another; before the first address, asks for its family.
    fn load(mut self, fields: &[Field]) -> Self {
        for family in fields.iter().filter_map(|field| field.family()) {
            if self.family != Some(family) {
                self.family = Some(family);
                self = self.is(Field::Family, family as u8);
            }
        }
        let mut next = 0;
        for field in fields {
            self.expressions.push(field.load(Register(next)));
            next += field.registers();
        }
        self
    }

    fn compare(self, not: bool, value: Vec<u8>) -> Self {
        self.step(Expression::Compare {
            register: FIRST,
            not,
            value,
        })
    }

    /// Only packets with this value.
    pub fn is(mut self, field: Field, value: impl Into<Value>) -> Self {
        let value = value.into();
        if let (Field::Family, Value::Byte(number)) = (field, &value) {
            self.family = Family::from_number(*number);
        }
        self.load(&[field]).compare(false, value.bytes())
    }

    /// Only packets with another value.
    pub fn is_not(self, field: Field, value: impl Into<Value>) -> Self {
        self.load(&[field]).compare(true, value.into().bytes())
    }

    /// Only packets with an interface whose name begins like this.
    pub fn begins(self, field: Field, prefix: &str) -> Self {
        self.load(&[field])
            .compare(false, prefix.as_bytes().to_vec())
    }

    /// Only packets with an interface whose name begins differently.
    pub fn begins_not(self, field: Field, prefix: &str) -> Self {
        self.load(&[field])
            .compare(true, prefix.as_bytes().to_vec())
    }

    /// Only packets with an address that has this prefix.
    pub fn within(self, field: Field, net: IpNet) -> Self {
        self.masked(field, net, false)
    }

    /// Only packets with an address that has not.
    pub fn not_within(self, field: Field, net: IpNet) -> Self {
        self.masked(field, net, true)
    }

    fn masked(self, field: Field, net: IpNet, not: bool) -> Self {
        let mask = Value::Address(net.netmask()).bytes();
        let value = Value::Address(net.network()).bytes();
        self.load(&[field])
            .step(Expression::Mask {
                register: FIRST,
                mask,
            })
            .compare(not, value)
    }

    /// Only packets with at least one of these bits.
    pub fn has_any(self, field: Field, bits: u32) -> Self {
        self.bits(field, bits, true)
    }

    /// Only packets with none of these bits.
    pub fn has_none(self, field: Field, bits: u32) -> Self {
        self.bits(field, bits, false)
    }

    fn bits(self, field: Field, bits: u32, any: bool) -> Self {
        let mask = bits.to_ne_bytes().to_vec();
        self.load(&[field])
            .step(Expression::Mask {
                register: FIRST,
                mask,
            })
            .compare(any, vec![0; 4])
    }

    /// Only packets whose values are together in a set. A map would do on new kernels, but not on 6.1.
    pub fn in_set(self, fields: &[Field], set: &str) -> Self {
        self.lookup(fields, set, false)
    }

    /// Only packets whose values are not.
    pub fn not_in_set(self, fields: &[Field], set: &str) -> Self {
        self.lookup(fields, set, true)
    }

    fn lookup(self, fields: &[Field], set: &str, not: bool) -> Self {
        let set = set.into();
        self.load(fields).step(Expression::Lookup {
            set,
            key: FIRST,
            not,
            to: None,
        })
    }

    /// No more packets than these in a second, after a burst.
    pub fn limit(self, packets: u64, burst: u32) -> Self {
        self.step(Expression::Limit { packets, burst })
    }

    /// Counts the packets that come this far.
    pub fn counter(self) -> Self {
        self.step(Expression::Counter)
    }

    /// What becomes of them.
    pub fn verdict(self, verdict: Verdict) -> Self {
        self.step(Expression::Verdict(verdict))
    }

    /// They go on their way.
    pub fn accept(self) -> Self {
        self.verdict(Verdict::Accept)
    }

    /// They are gone.
    pub fn drop(self) -> Self {
        self.verdict(Verdict::Drop)
    }

    /// Another chain is asked first.
    pub fn jump(self, chain: &str) -> Self {
        self.verdict(Verdict::Jump(chain.into()))
    }

    /// They are refused, and their senders told.
    pub fn reject(self, rejection: Rejection) -> Self {
        self.step(Expression::Reject(rejection))
    }

    /// What a map of verdicts has for their values; where it has nothing, the rules go on.
    pub fn verdict_from(self, fields: &[Field], map: &str) -> Self {
        let map = map.into();
        self.load(fields)
            .step(Expression::LookupVerdict { map, key: FIRST })
    }

    /// The destination becomes what a map has for their values: an address of this family, with a port after it if
    /// `port`.
    pub fn destination_from(self, fields: &[Field], map: &str, family: Family, port: bool) -> Self {
        let lookup = Expression::Lookup {
            set: map.into(),
            key: FIRST,
            not: false,
            to: Some(FIRST),
        };
        let after = if family == Family::Ipv6 { 4 } else { 1 };
        let translate = Expression::Nat {
            source: false,
            family,
            address: Some(FIRST),
            port: port.then_some(Register(after)),
        };
        self.load(fields).step(lookup).counter().step(translate)
    }

    /// The destination becomes this address, and this port.
    pub fn destination(self, address: IpAddr, port: Option<u16>) -> Self {
        self.translate(false, address, port)
    }

    /// The source becomes this address, and this port.
    pub fn source(self, address: IpAddr, port: Option<u16>) -> Self {
        self.translate(true, address, port)
    }

    fn translate(self, source: bool, address: IpAddr, port: Option<u16>) -> Self {
        let (family, after) = match address {
            IpAddr::V4(_) => (Family::Ipv4, Register(1)),
            IpAddr::V6(_) => (Family::Ipv6, Register(4)),
        };
        let mut rule = self;
        let mut put = |to, value: Value| {
            let value = value.bytes();
            rule.expressions.push(Expression::Immediate { to, value });
        };
        put(FIRST, address.into());
        if let Some(port) = port {
            put(after, port.into());
        }
        rule.step(Expression::Nat {
            source,
            family,
            address: Some(FIRST),
            port: port.map(|_| after),
        })
    }

    /// The source becomes the address of the interface where they leave.
    pub fn masquerade(self) -> Self {
        self.step(Expression::Masquerade)
    }

    /// The destination becomes this host, at this port.
    pub fn redirect(self, port: u16) -> Self {
        let value = port.to_be_bytes().to_vec();
        self.step(Expression::Immediate { to: FIRST, value })
            .step(Expression::Redirect { port: Some(FIRST) })
    }

    /// They get this mark.
    pub fn mark(self, mark: u32) -> Self {
        let value = mark.to_ne_bytes().to_vec();
        self.step(Expression::Immediate { to: FIRST, value })
            .step(Expression::SetMark { from: FIRST })
    }

    /// They get these bits of a mark beside those they have.
    pub fn add_mark(self, bits: u32) -> Self {
        let bits = bits.to_ne_bytes().to_vec();
        self.load(&[Field::Mark])
            .step(Expression::SetBits {
                register: FIRST,
                bits,
            })
            .step(Expression::SetMark { from: FIRST })
    }

    /// Their connection gets this mark.
    pub fn mark_connection(self, mark: u32) -> Self {
        let value = mark.to_ne_bytes().to_vec();
        self.step(Expression::Immediate { to: FIRST, value })
            .step(Expression::SetCtMark { from: FIRST })
    }

    fn put(&self, w: &mut Writer) {
        w.nest(NFTA_RULE_EXPRESSIONS, |w| {
            self.expressions.iter().for_each(|one| one.put(w));
        });
        if let Some(comment) = &self.comment {
            // libnftnl's udata.h: type, length, value; the kernel keeps 256 bytes of it.
            let end = comment.floor_char_boundary(MAX_COMMENT);
            let mut note = vec![UDATA_RULE_COMMENT, end as u8 + 1];
            note.extend(&comment.as_bytes()[..end]);
            note.push(0);
            w.put(NFTA_RULE_USERDATA, &note);
        }
    }
}

impl Batch {
    /// Adds a rule at the end of a chain.
    pub fn add_rule(&mut self, table: Table<'_>, chain: &str, rule: &Rule) {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_APPEND) as u16;
        self.rule(flags, table, chain, rule);
    }

    /// Adds a rule at the beginning of a chain.
    pub fn insert_rule(&mut self, table: Table<'_>, chain: &str, rule: &Rule) {
        self.rule(libc::NLM_F_CREATE as u16, table, chain, rule);
    }

    fn rule(&mut self, flags: u16, table: Table<'_>, chain: &str, rule: &Rule) {
        let what = match &rule.comment {
            Some(comment) => format!("rule {comment:?} to chain {chain}"),
            None => format!("a rule to chain {chain}"),
        };
        self.step(libc::NFT_MSG_NEWRULE, flags, table, "add", &what, |w| {
            w.put_text(NFTA_RULE_TABLE, table.name);
            w.put_text(NFTA_RULE_CHAIN, chain);
            rule.put(w);
        });
    }

    /// Deletes a rule by the number that [`rules`](super::Nftables::rules) told.
    pub fn delete_rule(&mut self, table: Table<'_>, chain: &str, handle: u64) {
        let what = format!("rule {handle} of chain {chain}");
        self.step(libc::NFT_MSG_DELRULE, 0, table, "delete", &what, |w| {
            w.put_text(NFTA_RULE_TABLE, table.name);
            w.put_text(NFTA_RULE_CHAIN, chain);
            w.put_be64(NFTA_RULE_HANDLE, handle);
        });
    }
}

/// nft's limit (`NFTNL_UDATA_COMMENT_MAXLEN`).
const MAX_COMMENT: usize = 128;
/// libnftnl's `enum nftnl_udata_rule_types`.
pub(super) const UDATA_RULE_COMMENT: u8 = 0;
/// `enum nft_rule_attributes`
pub(super) const NFTA_RULE_TABLE: u16 = 1;
pub(super) const NFTA_RULE_CHAIN: u16 = 2;
pub(super) const NFTA_RULE_HANDLE: u16 = 3;
pub(super) const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub(super) const NFTA_RULE_USERDATA: u16 = 7;
/// `enum nft_fib_result`
const NFT_FIB_RESULT_ADDRTYPE: u32 = 3;
/// `enum nft_fib_flags`
const NFTA_FIB_F_SADDR: u32 = 1;
const NFTA_FIB_F_DADDR: u32 = 2;
