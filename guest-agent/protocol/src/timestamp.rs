//! Points in time as Docker's API writes them.
//!
//! Documents hold RFC 3339 with as many digits as needed, logs hold nine digits always, and a request may give
//! seconds since 1970 with a fraction, RFC 3339 with or without a zone, or a duration before now.

use jiff::{Timestamp, tz::TimeZone};

/// What Go's zero time looks like: "never".
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// 1970.
pub const EPOCH: Timestamp = Timestamp::UNIX_EPOCH;

/// Why a point in time cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to parse value as time or duration: {0:?}")]
pub struct BadTime(pub String);

/// RFC 3339, with trailing zeros of the fraction left out.
pub fn document(at: Timestamp) -> String {
    at.to_string()
}

/// RFC 3339 with nine digits.
pub fn log(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// Reads a request's point in time; a duration counts back from `now`.
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, BadTime> {
    let bad = || BadTime(text.to_owned());
    if let Some(at) = unix(text) {
        return at.ok_or_else(bad);
    }
    if let Some(nanos) = duration(text) {
        let back = jiff::SignedDuration::from_nanos_i128(nanos);
        return now.checked_sub(back).map_err(|_| bad());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let local = text.parse::<jiff::civil::DateTime>().map_err(|_| bad())?;
    local
        .to_zoned(TimeZone::UTC)
        .map(|at| at.timestamp())
        .map_err(|_| bad())
}

/// Seconds since 1970 with a fraction; the outer `None` means that it is something else.
#[expect(
    clippy::option_option,
    reason = "not a number, and a number out of range, differ"
)]
fn unix(text: &str) -> Option<Option<Timestamp>> {
    let (negative, digits) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if seconds.is_empty() || !plain(seconds) || !plain(fraction) {
        return None;
    }
    let Ok(seconds) = seconds.parse::<i64>() else {
        return Some(None);
    };
    let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0i32, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    let sign = if negative { -1 } else { 1 };
    Some(Timestamp::new(seconds * sign, nanos * sign as i32).ok())
}

/// A duration as Go writes it, such as `1h30m` or `1.5s`, in nanoseconds.
pub fn duration(text: &str) -> Option<i128> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut total = 0f64;
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let tail = &rest[end..];
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let unit = match &tail[..unit_end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * unit;
        rest = &tail[unit_end..];
    }
    Some(sign * total as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let read = parse(text, now).map_or_else(|_| "bad".to_owned(), document);
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn every_form_of_time_is_read() {
        check("0", "1970-01-01T00:00:00Z");
        check("1136073600.000000001", "2006-01-01T00:00:00.000000001Z");
        check("1136073600.5", "2006-01-01T00:00:00.5Z");
        check("2006-01-02T15:04:05Z", "2006-01-02T15:04:05Z");
        check(
            "2006-01-02T15:04:05.000000001+02:00",
            "2006-01-02T13:04:05.000000001Z",
        );
        check("2006-01-02T15:04:05", "2006-01-02T15:04:05Z");
        check("2006-01-02", "2006-01-02T00:00:00Z");
        check("5s", "2026-01-02T03:04:00Z");
        check("1h4m", "2026-01-02T02:00:05Z");
        check("yesterday", "bad");
        check("", "bad");
        check("99999999999999999999", "bad");
    }

    #[test]
    fn a_log_line_has_nine_digits() {
        assert_eq!(
            log("2006-01-02T15:04:05.1Z".parse().unwrap()),
            "2006-01-02T15:04:05.100000000Z"
        );
    }
}
