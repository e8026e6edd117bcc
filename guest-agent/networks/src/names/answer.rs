//! From a request's bytes to a reply's, or to the decision to ask elsewhere. No input or output.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::message::{Forward, Request, Unreadable, fit, with_answers};
use super::{Client, Names};

/// How long a client may remember, in seconds. Connecting and disconnecting change the answers at once; programs that
/// heed this (nginx's `resolver`, Envoy, the JVM) then follow within this time, and resolvers of C libraries remember
/// nothing anyway. Docker says 600.
const TTL: u32 = 5;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a packet: the reply must fit in one that the client takes.
    Udp,
    /// On a stream.
    Tcp,
}

/// What is to be done about a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This is the reply.
    Reply(Vec<u8>),
    /// Somebody else knows.
    Forward(Forward),
    /// It is not a request.
    Nothing,
}

/// Decides about a request. `seed` chooses the order of several addresses.
pub fn answer(
    bytes: &[u8],
    transport: Transport,
    client: &Client,
    names: &Names,
    seed: u64,
) -> Answer {
    let request = match Request::read(bytes) {
        Ok(request) => request,
        Err(Unreadable::Nothing) => return Answer::Nothing,
        Err(Unreadable::Refused(reply)) => return Answer::Reply(reply),
    };
    let limit = match transport {
        Transport::Udp => request.limit(),
        Transport::Tcp => usize::from(u16::MAX),
    };
    match decide(&request, client, names, seed) {
        Some(reply) => Answer::Reply(fit(&reply, limit)),
        None => Answer::Forward(Forward {
            bytes: request.bytes,
            query: request.query,
            limit,
        }),
    }
}

/// The reply, unless somebody else is to be asked.
fn decide(request: &Request, client: &Client, names: &Names, seed: u64) -> Option<Message> {
    // RFC 6891, 6.1.3
    if request
        .edns
        .as_ref()
        .is_some_and(|edns| edns.version() != 0)
    {
        return Some(request.reply(ResponseCode::BADVERS));
    }
    let kind = request.query.query_type();
    // A transfer of a zone is many messages, and nothing that a resolver is asked for.
    if matches!(kind, RecordType::AXFR | RecordType::IXFR) {
        return Some(request.reply(ResponseCode::Refused));
    }
    if let Some(records) = known(request, client, names, seed) {
        return Some(with_answers(request.reply(ResponseCode::NoError), records));
    }
    // Not "refused" or "failed": musl takes these for the loss of a packet, and waits for ten seconds.
    (!client.forward).then(|| request.reply(ResponseCode::NXDomain))
}

/// The records of a name that one of the client's networks knows; maybe none of the type that was asked for.
fn known(request: &Request, client: &Client, names: &Names, seed: u64) -> Option<Vec<Record>> {
    let query = &request.query;
    if !matches!(query.query_class(), DNSClass::IN | DNSClass::ANY) {
        return None;
    }
    if query.query_type() == RecordType::PTR
        && let Some(address) = reversed(query.name())
    {
        let target = client.reverse(names, address)?;
        let pointer = RData::PTR(PTR(to_name(&target)?));
        return Some(vec![record(query.name(), pointer)]);
    }
    let mut addresses = client.addresses(names, &from_name(query.name())?);
    if addresses.is_empty() {
        return None;
    }
    shuffle(&mut addresses, seed);
    let wanted = query.query_type();
    let records = addresses.into_iter().filter_map(|address| match address {
        IpAddr::V4(v4) if matches!(wanted, RecordType::A | RecordType::ANY) => {
            Some(RData::A(A(v4)))
        }
        IpAddr::V6(v6) if matches!(wanted, RecordType::AAAA | RecordType::ANY) => {
            Some(RData::AAAA(AAAA(v6)))
        }
        _ => None,
    });
    Some(records.map(|data| record(query.name(), data)).collect())
}

fn record(name: &Name, data: RData) -> Record {
    Record::from_rdata(name.clone(), TTL, data)
}

/// The name as the networks know it; none for names that none of them could have.
fn from_name(name: &Name) -> Option<String> {
    let labels: Option<Vec<&str>> = name
        .iter()
        .map(|label| std::str::from_utf8(label).ok())
        .collect();
    let joined = labels?.join(".").to_ascii_lowercase();
    (!joined.is_empty()).then_some(joined)
}

/// The other way round; none for what no DNS message can hold, such as a label of 64 bytes.
fn to_name(name: &str) -> Option<Name> {
    Name::from_labels(name.split('.').map(str::as_bytes)).ok()
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` asks about, if it is a whole one.
fn reversed(name: &Name) -> Option<IpAddr> {
    let net = name.parse_arpa_name().ok()?;
    (net.prefix_len() == net.max_prefix_len()).then(|| net.addr())
}

/// Another order for every seed (Fisher and Yates, driven by splitmix64), so that clients that take the first address
/// spread over all.
fn shuffle(addresses: &mut [IpAddr], mut seed: u64) {
    for end in (1..addresses.len()).rev() {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        addresses.swap(end, (mixed % (end as u64 + 1)) as usize);
    }
}
