//! Docker's `json-file` lines: `{"log":"…\n","stream":"stdout","time":"…"}`.

use super::clock;
use super::lines::Entry;

/// Appends an entry's line. `attributes` is what [`attributes`] made.
pub(crate) fn push(out: &mut Vec<u8>, entry: &Entry<'_>, attributes: &[u8]) {
    out.extend_from_slice(b"{");
    if !entry.line.is_empty() || entry.ends_line() {
        out.extend_from_slice(b"\"log\":\"");
        push_escaped(out, entry.line);
        if entry.ends_line() {
            out.extend_from_slice(b"\\n");
        }
        out.extend_from_slice(b"\",");
    }
    out.extend_from_slice(b"\"stream\":\"");
    out.extend_from_slice(entry.stream.name().as_bytes());
    out.extend_from_slice(b"\",");
    out.extend_from_slice(attributes);
    out.extend_from_slice(b"\"time\":\"");
    clock::push_rfc3339(out, entry.time);
    out.extend_from_slice(b"\"}\n");
}

/// `"attrs":{…},`, the same on every line of a log; empty without any.
pub(crate) fn attributes(pairs: &[(String, String)]) -> Vec<u8> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let mut sorted: Vec<_> = pairs.iter().collect();
    sorted.sort();
    let mut out = b"\"attrs\":{".to_vec();
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(&mut out, name.as_bytes());
        out.push(b':');
        push_string(&mut out, value.as_bytes());
    }
    out.extend_from_slice(b"},");
    out
}

/// Appends text in quotes.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    push_escaped(out, text);
    out.push(b'"');
}

/// Escapes as Go does: also what HTML could take for markup; bytes that are no UTF-8 become U+FFFD.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        push_escaped_str(out, chunk.valid());
        // Go replaces byte by byte.
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

fn push_escaped_str(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if is_plain(*byte) {
            continue;
        }
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            // U+2028 and U+2029 end a line in JavaScript.
            0xe2 => match bytes.get(at + 1..at + 3) {
                Some([0x80, 0xa8]) => b"\\u2028",
                Some([0x80, 0xa9]) => b"\\u2029",
                _ => continue,
            },
            _ => b"",
        };
        out.extend_from_slice(&bytes[plain_from..at]);
        if escape.is_empty() {
            push_code(out, *byte);
        } else {
            out.extend_from_slice(escape);
        }
        plain_from = at + if *byte == 0xe2 { 3 } else { 1 };
    }
    out.extend_from_slice(&bytes[plain_from..]);
}

fn is_plain(byte: u8) -> bool {
    byte >= b' ' && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2)
}

fn push_code(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u00");
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Stream;
    use crate::log::lines::Partial;

    fn check(line: &[u8], partial: Option<Partial>, expected: &str) {
        let mut out = Vec::new();
        push(
            &mut out,
            &Entry {
                stream: Stream::Stdout,
                time: 0,
                line,
                partial,
            },
            b"",
        );
        let expected = format!(
            "{{\"log\":\"{expected}\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:00Z\"}}\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_line_looks_as_dockers_does() {
        check(b"hello", None, "hello\\n");
        check(b"", None, "\\n");
        check(
            b"a\tb\"\\\r\x1b[0m",
            None,
            "a\\u0009b\\\"\\\\\\r\\u001b[0m\\n",
        );
        check(b"<a href=x>&", None, "\\u003ca href=x\\u003e\\u0026\\n");
        check(
            "é \u{2028} \u{2030}".as_bytes(),
            None,
            "é \\u2028 \u{2030}\\n",
        );
        check(b"x\xffy\xe2\x80", None, "x\\ufffdy\\ufffd\\ufffd\\n");
    }

    #[test]
    fn a_piece_has_no_newline_until_the_last() {
        let piece = |last| {
            Some(Partial {
                id: 1,
                ordinal: 1,
                last,
            })
        };
        check(b"abc", piece(false), "abc");
        check(b"", piece(true), "\\n");
    }

    #[test]
    fn attributes_stand_before_the_time() {
        let pairs = [
            ("tag".to_owned(), "t".to_owned()),
            ("a".to_owned(), "<".to_owned()),
        ];
        let attributes = attributes(&pairs);
        let mut out = Vec::new();
        let entry = Entry {
            stream: Stream::Stderr,
            time: 0,
            line: b"x",
            partial: None,
        };
        push(&mut out, &entry, &attributes);
        let expected = "{\"log\":\"x\\n\",\"stream\":\"stderr\",\"attrs\":{\"a\":\"\\u003c\",\"tag\":\"t\"},\
                        \"time\":\"1970-01-01T00:00:00Z\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
