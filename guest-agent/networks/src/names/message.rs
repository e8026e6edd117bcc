//! DNS messages as bytes: reading a request, checking a reply, cutting one to size (RFC 1035, RFC 6891).

use hickory_proto::op::{
    Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// The largest request: nobody has more to ask, and RFC 6891 names it as the size to try first.
pub(super) const LARGEST_REQUEST: usize = 4096;
/// What fits in a UDP packet where nothing else was agreed on (RFC 1035, 4.2.1).
const SMALLEST_LIMIT: u16 = 512;
/// The payload of the largest UDP packet over IPv4.
const LARGEST_UDP: u16 = 65_507;
/// The header: 12 bytes.
const HEADER: usize = 12;

/// A request that can be answered.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) metadata: Metadata,
    pub(super) query: Query,
    pub(super) edns: Option<Edns>,
    /// Without what may follow the message.
    pub(super) bytes: Vec<u8>,
}

/// A request that somebody else is asked.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The request, with the client's own id.
    pub(super) bytes: Vec<u8>,
    pub(super) query: Query,
    /// How long a reply may be.
    pub(super) limit: usize,
}

/// Why there is nothing to answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Not a request at all: an answer to it could start an endless exchange.
    Nothing,
    /// A request with this reply.
    Refused(Vec<u8>),
}

impl Request {
    pub(super) fn read(bytes: &[u8]) -> Result<Request, Unreadable> {
        let header = Header::read(&mut BinDecoder::new(bytes)).map_err(|_| Unreadable::Nothing)?;
        if header.metadata.message_type == MessageType::Response {
            return Err(Unreadable::Nothing);
        }
        let refuse = |code| Unreadable::Refused(bare(&header.metadata, code));
        if header.metadata.op_code != OpCode::Query {
            return Err(refuse(ResponseCode::NotImp));
        }
        // More than one question has no meaning (RFC 9619), and the decoder would make room for all it is promised.
        if bytes.len() > LARGEST_REQUEST || header.counts.queries != 1 {
            return Err(refuse(ResponseCode::FormErr));
        }
        let mut decoder = BinDecoder::new(bytes);
        let message = Message::read(&mut decoder).map_err(|_| refuse(ResponseCode::FormErr))?;
        let end = decoder.index();
        let query = message.queries.into_iter().next();
        Ok(Request {
            metadata: message.metadata,
            query: query.ok_or_else(|| refuse(ResponseCode::FormErr))?,
            edns: message.edns,
            bytes: bytes[..end].to_vec(),
        })
    }

    /// How long a UDP reply may be.
    pub(super) fn limit(&self) -> usize {
        let asked = self.edns.as_ref().map_or(SMALLEST_LIMIT, Edns::max_payload);
        asked.clamp(SMALLEST_LIMIT, LARGEST_UDP).into()
    }

    /// A reply without records.
    pub(super) fn reply(&self, code: ResponseCode) -> Message {
        let mut reply = Message::response(self.metadata.id, self.metadata.op_code);
        reply.metadata = Metadata::response_from_request(&self.metadata);
        reply.metadata.recursion_available = true;
        reply.metadata.response_code = code;
        reply.queries.push(self.query.clone());
        if let Some(asked) = &self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(LARGEST_REQUEST as u16);
            edns.set_dnssec_ok(asked.flags().dnssec_ok);
            reply.edns = Some(edns);
        }
        reply
    }
}

/// A header alone, from which the client learns that its request was not understood.
fn bare(request: &Metadata, code: ResponseCode) -> Vec<u8> {
    let mut reply = Message::response(request.id, request.op_code);
    reply.metadata = Metadata::response_from_request(request);
    reply.metadata.response_code = code;
    encode(&reply)
}

/// The message as bytes. Nothing that was decoded or made here fails to encode; if it did, nothing would be sent.
fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap_or_default()
}

/// The message as at most `limit` bytes, with as many of its answers as fit and the mark of truncation if not all do.
pub(super) fn fit(message: &Message, limit: usize) -> Vec<u8> {
    let whole = encode(message);
    if whole.len() <= limit {
        return whole;
    }
    let with = |answers: usize| {
        let mut cut = message.truncate();
        cut.answers = message.answers[..answers].to_vec();
        encode(&cut)
    };
    // Halving: thousands of answers one by one would cost a second.
    let (mut fits, mut exceeds) = (0, message.answers.len() + 1);
    while exceeds - fits > 1 {
        let middle = fits.midpoint(exceeds);
        if with(middle).len() <= limit {
            fits = middle;
        } else {
            exceeds = middle;
        }
    }
    with(fits)
}

/// A reply from elsewhere as at most `limit` bytes.
pub(super) fn fit_bytes(reply: Vec<u8>, limit: usize) -> Vec<u8> {
    if reply.len() <= limit {
        return reply;
    }
    match Message::from_vec(&reply) {
        Ok(message) => fit(&message, limit),
        // Something the decoder does not know: the client is told to ask over TCP, where it goes through whole.
        Err(_) => {
            let mut head = reply[..HEADER].to_vec();
            head[2] |= 0b10;
            head[4..].fill(0);
            head
        }
    }
}

/// The reply to a forwarded request that nobody answered.
pub(super) fn failure(forward: &Forward, code: ResponseCode) -> Vec<u8> {
    Request::read(&forward.bytes)
        .map_or_else(|_| Vec::new(), |request| encode(&request.reply(code)))
}

/// Puts an id in front of a message.
pub(super) fn set_id(message: &mut [u8], id: u16) {
    if let Some(place) = message.get_mut(..2) {
        place.copy_from_slice(&id.to_be_bytes());
    }
}

/// The id in front of a message; 0 if it has none.
pub(super) fn id(message: &[u8]) -> u16 {
    message
        .first_chunk()
        .map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

/// What a reply says, if it is one to `query` with this id.
pub(super) fn check_reply(reply: &[u8], id: u16, query: &Query) -> Option<Metadata> {
    let mut decoder = BinDecoder::new(reply);
    let header = Header::read(&mut decoder).ok()?;
    let metadata = header.metadata;
    if metadata.id != id || metadata.message_type != MessageType::Response {
        return None;
    }
    match header.counts.queries {
        // A server that did not understand may leave the question out.
        0 if metadata.response_code != ResponseCode::NoError => Some(metadata),
        1 => {
            let echoed = Query::read(&mut decoder).ok()?;
            let same = echoed.name().eq_ignore_root(query.name())
                && echoed.query_type() == query.query_type()
                && echoed.query_class() == query.query_class();
            same.then_some(metadata)
        }
        _ => None,
    }
}

/// Adds records to a reply that come from here.
pub(super) fn with_answers(mut reply: Message, answers: Vec<Record>) -> Message {
    reply.metadata.authoritative = true;
    reply.answers = answers;
    reply
}
