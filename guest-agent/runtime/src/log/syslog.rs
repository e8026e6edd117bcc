//! Messages for a syslog server (RFC 3164 and RFC 5424).

use super::Stream;
use super::clock::{self, Civil, push_digits};
use super::lines::Entry;
use super::sink::{Syslog, SyslogFormat};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// One entry's message; `process` is the number in brackets after the tag.
pub(crate) fn message(syslog: &Syslog, entry: &Entry<'_>, process: u32) -> Vec<u8> {
    let Syslog { tag, hostname, .. } = syslog;
    let severity = match entry.stream {
        Stream::Stdout => 6,
        Stream::Stderr => 3,
    };
    let priority = u32::from(syslog.facility) * 8 + severity;
    let mut out = format!("<{priority}>").into_bytes();
    match syslog.format {
        SyslogFormat::Unix => {
            push_stamp(&mut out, entry.time);
            out.extend_from_slice(format!(" {tag}[{process}]: ").as_bytes());
        }
        SyslogFormat::Rfc3164 => {
            push_stamp(&mut out, entry.time);
            out.extend_from_slice(format!(" {hostname} {tag}[{process}]: ").as_bytes());
        }
        SyslogFormat::Rfc5424 | SyslogFormat::Rfc5424Micro => {
            out.extend_from_slice(b"1 ");
            push_time(
                &mut out,
                entry.time,
                syslog.format == SyslogFormat::Rfc5424Micro,
            );
            out.extend_from_slice(format!(" {hostname} {tag} {process} {tag} - ").as_bytes());
        }
    }
    out.extend_from_slice(entry.line);
    out.push(b'\n');
    out
}

/// `Nov  2 15:04:05`.
fn push_stamp(out: &mut Vec<u8>, time: i64) {
    let civil = Civil::from_nanoseconds(time);
    let month = MONTHS[usize::from(civil.month) - 1];
    let Civil {
        day,
        hour,
        minute,
        second,
        ..
    } = civil;
    out.extend_from_slice(format!("{month} {day:2} {hour:02}:{minute:02}:{second:02}").as_bytes());
}

/// RFC 3339 in whole seconds, or with six digits more.
fn push_time(out: &mut Vec<u8>, time: i64, micro: bool) {
    let whole = time.div_euclid(1_000_000_000) * 1_000_000_000;
    clock::push_rfc3339(out, whole);
    if micro {
        out.pop();
        out.push(b'.');
        push_digits(out, ((time - whole) / 1000) as u32, 6);
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::sink::Endpoint;

    #[test]
    fn each_format_has_its_layout() {
        let check = |format, stream, expected: &str| {
            let syslog = Syslog {
                endpoint: Endpoint::Unix("/".into()),
                facility: 3,
                format,
                tag: "app".into(),
                hostname: "host".into(),
            };
            let time = 1_699_000_000_123_456_789;
            let entry = Entry {
                stream,
                time,
                line: b"hello",
                partial: None,
            };
            assert_eq!(
                String::from_utf8(message(&syslog, &entry, 42)).unwrap(),
                expected
            );
        };
        check(
            SyslogFormat::Unix,
            Stream::Stdout,
            "<30>Nov  3 08:26:40 app[42]: hello\n",
        );
        check(
            SyslogFormat::Rfc3164,
            Stream::Stderr,
            "<27>Nov  3 08:26:40 host app[42]: hello\n",
        );
        check(
            SyslogFormat::Rfc5424,
            Stream::Stdout,
            "<30>1 2023-11-03T08:26:40Z host app 42 app - hello\n",
        );
        let micro = "<30>1 2023-11-03T08:26:40.123456Z host app 42 app - hello\n";
        check(SyslogFormat::Rfc5424Micro, Stream::Stdout, micro);
    }
}
