//! Messages of fluentd's forward protocol: `[tag, time, { name: value, … }]` in MessagePack.

use super::lines::Entry;
use super::sink::Fluentd;

/// One entry's message.
pub(crate) fn message(fluentd: &Fluentd, entry: &Entry<'_>) -> Vec<u8> {
    let mut out = vec![0x93];
    push_text(&mut out, fluentd.tag.as_bytes());
    push_time(&mut out, entry.time, fluentd.sub_second);
    let own = 2 + if entry.partial.is_some() { 4 } else { 0 };
    push_map(&mut out, fluentd.fields.len() + own);
    for (name, value) in &fluentd.fields {
        push_pair(&mut out, name, value.as_bytes());
    }
    push_pair(&mut out, "source", entry.stream.name().as_bytes());
    push_pair(&mut out, "log", entry.line);
    if let Some(partial) = entry.partial {
        push_pair(&mut out, "partial_message", b"true");
        push_pair(
            &mut out,
            "partial_id",
            format!("{:016x}", partial.id).as_bytes(),
        );
        push_pair(
            &mut out,
            "partial_ordinal",
            partial.ordinal.to_string().as_bytes(),
        );
        push_pair(
            &mut out,
            "partial_last",
            partial.last.to_string().as_bytes(),
        );
    }
    out
}

fn push_pair(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    push_text(out, name.as_bytes());
    push_text(out, value);
}

/// A string of any length.
fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        length @ 0..=31 => out.push(0xa0 | length as u8),
        length @ 32..=0xff => out.extend_from_slice(&[0xd9, length as u8]),
        length @ 0x100..=0xffff => {
            out.push(0xda);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0xdb);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}

fn push_map(out: &mut Vec<u8>, pairs: usize) {
    if pairs <= 15 {
        out.push(0x80 | pairs as u8);
    } else {
        out.push(0xde);
        out.extend_from_slice(&(pairs as u16).to_be_bytes());
    }
}

/// Whole seconds, or fluentd's own type of seconds and nanoseconds.
fn push_time(out: &mut Vec<u8>, time: i64, sub_second: bool) {
    let seconds = time.div_euclid(1_000_000_000) as u32;
    if sub_second {
        out.extend_from_slice(&[0xd7, 0]);
        out.extend_from_slice(&seconds.to_be_bytes());
        out.extend_from_slice(&(time.rem_euclid(1_000_000_000) as u32).to_be_bytes());
    } else {
        out.push(0xce);
        out.extend_from_slice(&seconds.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Stream;
    use crate::log::sink::Endpoint;

    #[test]
    fn a_message_is_a_tag_a_time_and_a_map() {
        let fluentd = Fluentd {
            endpoint: Endpoint::Unix("/".into()),
            tag: "t".into(),
            fields: vec![("a".into(), "b".into())],
            buffer: 0,
            sub_second: false,
            lazy: false,
        };
        let line = vec![b'x'; 40];
        let entry = Entry {
            stream: Stream::Stdout,
            time: 5_000_000_007,
            line: &line,
            partial: None,
        };
        let head = b"\x93\xa1t\xce\0\0\0\x05\x83\xa1a\xa1b\xa6source\xa6stdout\xa3log\xd9\x28";
        assert_eq!(message(&fluentd, &entry), [&head[..], &line].concat());
        let fine = Fluentd {
            sub_second: true,
            ..fluentd
        };
        assert_eq!(
            message(&fine, &entry)[3..13],
            *b"\xd7\0\0\0\0\x05\0\0\0\x07"
        );
    }
}
