//! Entries for the journal: datagrams of `NAME=value` lines, or `NAME`, length and bytes for values of any kind.

use super::Stream;
use super::clock;
use super::lines::Entry;
use super::sink::Journald;

/// One entry's datagram.
pub(crate) fn message(journald: &Journald, entry: &Entry<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(entry.line.len() + 512);
    push_field(&mut out, "MESSAGE", entry.line);
    let priority = match entry.stream {
        Stream::Stdout => b"6",
        Stream::Stderr => b"3",
    };
    push_field(&mut out, "PRIORITY", priority);
    let mut time = Vec::new();
    clock::push_rfc3339(&mut time, entry.time);
    push_field(&mut out, "SYSLOG_TIMESTAMP", &time);
    for (name, value) in &journald.fields {
        push_field(&mut out, name, value.as_bytes());
    }
    if let Some(partial) = entry.partial {
        push_field(
            &mut out,
            "CONTAINER_PARTIAL_ID",
            format!("{:016x}", partial.id).as_bytes(),
        );
        push_field(
            &mut out,
            "CONTAINER_PARTIAL_ORDINAL",
            partial.ordinal.to_string().as_bytes(),
        );
        push_field(
            &mut out,
            "CONTAINER_PARTIAL_LAST",
            partial.last.to_string().as_bytes(),
        );
        if !partial.last {
            push_field(&mut out, "CONTAINER_PARTIAL_MESSAGE", b"true");
        }
    }
    out
}

fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_newlines_carry_their_length() {
        let fields = vec![("A".to_owned(), "x\ny".to_owned())];
        let journald = Journald {
            socket: "/".into(),
            fields,
        };
        let entry = Entry {
            stream: Stream::Stderr,
            time: 0,
            line: b"hi",
            partial: None,
        };
        let expected =
            b"MESSAGE=hi\nPRIORITY=3\nSYSLOG_TIMESTAMP=1970-01-01T00:00:00Z\nA\n\x03\0\0\0\0\0\0\0x\ny\n";
        assert_eq!(message(&journald, &entry), expected);
    }
}
