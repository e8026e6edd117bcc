//! Docker's `local` format: records of protocol-buffer bytes between two big-endian lengths.
//!
//! ```text
//! length │ 1: stream  2: time  3: line  4: partial?  5: { 1: last?  2: id  3: ordinal } │ length
//! ```
//! The length at the end lets a reader walk backwards.

use super::Stream;
use super::lines::{Entry, Partial};

/// Longer records are damage: an entry has at most 16 KiB.
pub(crate) const LONGEST: usize = 64 * 1024;

/// A record that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded<'a> {
    pub(crate) stream: Stream,
    pub(crate) time: i64,
    pub(crate) line: &'a [u8],
    /// Whether a newline follows.
    pub(crate) ends_line: bool,
}

/// Appends an entry's record.
pub(crate) fn push(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    push_bytes(out, 1, entry.stream.name().as_bytes());
    push_number(out, 2, entry.time as u64);
    push_bytes(out, 3, entry.line);
    if let Some(partial) = entry.partial {
        push_number(out, 4, 1);
        push_bytes(out, 5, &partial_bytes(partial));
    }
    let length = ((out.len() - start - 4) as u32).to_be_bytes();
    out[start..start + 4].copy_from_slice(&length);
    out.extend_from_slice(&length);
}

fn partial_bytes(partial: Partial) -> Vec<u8> {
    let mut out = Vec::new();
    if partial.last {
        push_number(&mut out, 1, 1);
    }
    push_bytes(&mut out, 2, format!("{:016x}", partial.id).as_bytes());
    push_number(&mut out, 3, u64::from(partial.ordinal));
    out
}

/// A field of variable length; an empty one is left out.
fn push_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    out.push(field << 3 | 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn push_number(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    push_varint(out, value);
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The record in the bytes between two lengths; `None` for bytes that are none.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Decoded<'_>> {
    let mut record = Decoded {
        stream: Stream::Stdout,
        time: 0,
        line: b"",
        ends_line: true,
    };
    while !bytes.is_empty() {
        let (field, value) = take_field(&mut bytes)?;
        match (field, value) {
            (1, Value::Bytes(b"stderr")) => record.stream = Stream::Stderr,
            (2, Value::Number(time)) => record.time = time as i64,
            (3, Value::Bytes(line)) => record.line = line,
            (5, Value::Bytes(partial)) => record.ends_line = is_last(partial)?,
            _ => {}
        }
    }
    Some(record)
}

fn is_last(mut bytes: &[u8]) -> Option<bool> {
    let mut last = false;
    while !bytes.is_empty() {
        if let (1, Value::Number(value)) = take_field(&mut bytes)? {
            last = value != 0;
        }
    }
    Some(last)
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn take_field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = take_varint(bytes)?;
    let value = match tag & 7 {
        0 => Value::Number(take_varint(bytes)?),
        2 => {
            let length = usize::try_from(take_varint(bytes)?).ok()?;
            let (taken, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Value::Bytes(taken)
        }
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_dockers_bytes() {
        let mut out = Vec::new();
        let entry = Entry {
            stream: Stream::Stdout,
            time: 300,
            line: b"hi",
            partial: None,
        };
        push(&mut out, &entry);
        assert_eq!(
            out,
            b"\0\0\0\x0f\x0a\x06stdout\x10\xac\x02\x1a\x02hi\0\0\0\x0f"
        );
    }

    #[test]
    fn what_was_written_is_read_back() {
        let piece = |last| {
            Some(Partial {
                id: 7,
                ordinal: 2,
                last,
            })
        };
        for (partial, ends_line) in [(None, true), (piece(false), false), (piece(true), true)] {
            let mut out = Vec::new();
            let time = 1_700_000_000_123_456_789;
            push(
                &mut out,
                &Entry {
                    stream: Stream::Stderr,
                    time,
                    line: b"x\0y",
                    partial,
                },
            );
            let decoded = decode(&out[4..out.len() - 4]).unwrap();
            let expected = Decoded {
                stream: Stream::Stderr,
                time,
                line: b"x\0y",
                ends_line,
            };
            assert_eq!(decoded, expected);
        }
    }

    #[test]
    fn damage_is_no_record() {
        for bytes in [
            &b"\x0a"[..],
            b"\x0a\xff",
            b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0d1234",
        ] {
            assert_eq!(decode(bytes), None);
        }
    }
}
