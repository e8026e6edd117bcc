//! Messages of Graylog's extended log format: JSON, cut into chunks for UDP, ended by a zero for TCP.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::Stream;
use super::json::push_string;
use super::lines::Entry;
use super::sink::{Endpoint, Gelf, GelfCompression};

/// The most of a message in one datagram, with its chunk's header.
const DATAGRAM: usize = 1420;
const HEADER: usize = 12;
const MOST_CHUNKS: usize = 128;

/// One entry's packets: one, or several datagrams. A message too long for the protocol has none.
pub(crate) fn packets(gelf: &Gelf, entry: &Entry<'_>) -> Vec<Vec<u8>> {
    let mut document = document(gelf, entry);
    if matches!(gelf.endpoint, Endpoint::Tcp(_) | Endpoint::Unix(_)) {
        document.push(0);
        return vec![document];
    }
    match compress(gelf.compression, &document) {
        Ok(message) => chunks(message, entry.time as u64),
        Err(_) => Vec::new(),
    }
}

fn document(gelf: &Gelf, entry: &Entry<'_>) -> Vec<u8> {
    let mut out = b"{\"version\":\"1.1\",\"host\":".to_vec();
    push_string(&mut out, gelf.hostname.as_bytes());
    out.extend_from_slice(b",\"short_message\":");
    push_string(&mut out, entry.line);
    let milliseconds = entry.time / 1_000_000;
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let level = match entry.stream {
        Stream::Stdout => 6,
        Stream::Stderr => 3,
    };
    out.extend_from_slice(
        format!(",\"timestamp\":{seconds}.{rest:03},\"level\":{level}").as_bytes(),
    );
    for (name, value) in &gelf.fields {
        out.push(b',');
        push_string(&mut out, format!("_{name}").as_bytes());
        out.push(b':');
        push_string(&mut out, value.as_bytes());
    }
    out.push(b'}');
    out
}

fn compress(how: GelfCompression, document: &[u8]) -> io::Result<Vec<u8>> {
    match how {
        GelfCompression::None => Ok(document.to_vec()),
        GelfCompression::Gzip(level) => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level.into()));
            encoder.write_all(document)?;
            encoder.finish()
        }
        GelfCompression::Zlib(level) => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(level.into()));
            encoder.write_all(document)?;
            encoder.finish()
        }
    }
}

fn chunks(message: Vec<u8>, id: u64) -> Vec<Vec<u8>> {
    if message.len() <= DATAGRAM {
        return vec![message];
    }
    let parts: Vec<&[u8]> = message.chunks(DATAGRAM - HEADER).collect();
    if parts.len() > MOST_CHUNKS {
        return Vec::new();
    }
    let count = parts.len() as u8;
    let chunk = |(number, part): (usize, &&[u8])| {
        let mut out = vec![0x1e, 0x0f];
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&[number as u8, count]);
        out.extend_from_slice(part);
        out
    };
    parts.iter().enumerate().map(chunk).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn gelf(endpoint: Endpoint, compression: GelfCompression) -> Gelf {
        let fields = vec![("container_name".to_owned(), "web".to_owned())];
        Gelf {
            endpoint,
            compression,
            hostname: "host".into(),
            fields,
        }
    }

    fn entry(line: &[u8]) -> Entry<'_> {
        Entry {
            stream: Stream::Stderr,
            time: 5_007_000_000,
            line,
            partial: None,
        }
    }

    const TEXT: &str = "{\"version\":\"1.1\",\"host\":\"host\",\"short_message\":\"hi\",\"timestamp\":5.007,\
                        \"level\":3,\"_container_name\":\"web\"}";

    #[test]
    fn a_stream_has_documents_between_zeros() {
        let gelf = gelf(
            Endpoint::Tcp("127.0.0.1:1".parse().unwrap()),
            GelfCompression::Gzip(1),
        );
        assert_eq!(
            packets(&gelf, &entry(b"hi")),
            [format!("{TEXT}\0").into_bytes()]
        );
    }

    #[test]
    fn a_datagram_is_compressed() {
        let gelf = gelf(
            Endpoint::Udp("127.0.0.1:1".parse().unwrap()),
            GelfCompression::Gzip(1),
        );
        let packets = packets(&gelf, &entry(b"hi"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packets[0][..])
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, TEXT);
    }

    #[test]
    fn a_long_message_comes_in_chunks() {
        let gelf = gelf(
            Endpoint::Udp("127.0.0.1:1".parse().unwrap()),
            GelfCompression::None,
        );
        let packets = packets(&gelf, &entry(&[b'x'; 3000]));
        assert_eq!(packets.len(), 3);
        assert!(packets.iter().all(|packet| packet.len() <= DATAGRAM));
        assert_eq!(packets[1][..2], [0x1e, 0x0f]);
        assert_eq!(packets[1][10..12], [1, 3]);
    }
}
