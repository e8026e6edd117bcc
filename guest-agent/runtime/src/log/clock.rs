//! Times: nanoseconds since 1970, and RFC 3339 as Go writes it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as i64)
}

/// A date and a time of day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    pub(crate) nanosecond: u32,
}

impl Civil {
    /// Splits nanoseconds since 1970.
    pub(crate) fn from_nanoseconds(time: i64) -> Civil {
        let seconds = time.div_euclid(1_000_000_000);
        let (year, month, day) = date(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        Civil {
            year,
            month,
            day,
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            nanosecond: time.rem_euclid(1_000_000_000) as u32,
        }
    }
}

/// Year, month and day of a number of days since 1970. Counted in years that begin in March, so that the odd day
/// comes last; 400 of them always have as many days.
fn date(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u8;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    } as u8;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Appends the time as `2026-11-22T03:04:05.000000006Z`, zeros at the end of the fraction left out.
pub(crate) fn push_rfc3339(out: &mut Vec<u8>, time: i64) {
    let civil = Civil::from_nanoseconds(time);
    push_digits(out, civil.year as u32, 4);
    for (separator, value) in [(b'-', civil.month), (b'-', civil.day), (b'T', civil.hour)] {
        out.push(separator);
        push_digits(out, u32::from(value), 2);
    }
    for value in [civil.minute, civil.second] {
        out.push(b':');
        push_digits(out, u32::from(value), 2);
    }
    push_fraction(out, civil.nanosecond);
    out.push(b'Z');
}

fn push_fraction(out: &mut Vec<u8>, nanosecond: u32) {
    if nanosecond == 0 {
        return;
    }
    out.push(b'.');
    push_digits(out, nanosecond, 9);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// Appends a number with leading zeros.
pub(crate) fn push_digits(out: &mut Vec<u8>, value: u32, width: usize) {
    let mut digits = [b'0'; 10];
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[10 - width..]);
}

/// Nanoseconds since 1970 of an RFC 3339 time; `None` if it is none.
pub(crate) fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        text.get(range)?.iter().try_fold(0_i64, |sum, digit| {
            digit
                .is_ascii_digit()
                .then(|| sum * 10 + i64::from(digit - b'0'))
        })
    };
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators
        .iter()
        .any(|(at, byte)| text.get(*at) != Some(byte))
    {
        return None;
    }
    let days = days(number(0..4)?, number(5..7)?, number(8..10)?)?;
    let seconds = days * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let (nanosecond, rest) = parse_fraction(&text[19..])?;
    let seconds = seconds - parse_offset(rest)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanosecond)
}

fn parse_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let length = digits
        .iter()
        .take_while(|digit| digit.is_ascii_digit())
        .count();
    if length == 0 || length > 9 {
        return None;
    }
    let value = digits[..length]
        .iter()
        .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some((value * 10_i64.pow(9 - length as u32), &digits[length..]))
}

/// Seconds east of Greenwich.
fn parse_offset(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'Z'] => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let [h1, h2, b':', m1, m2] = digits else {
        return None;
    };
    if ![h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit) {
        return None;
    }
    let pair = |a: u8, b: u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
    Some(sign * (pair(*h1, *h2) * 3600 + pair(*m1, *m2) * 60))
}

/// Days since 1970.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(time: i64) -> String {
        let mut out = Vec::new();
        push_rfc3339(&mut out, time);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_written_as_go_writes_them() {
        assert_eq!(written(0), "1970-01-01T00:00:00Z");
        assert_eq!(written(951_782_400_000_000_000), "2000-02-29T00:00:00Z");
        assert_eq!(
            written(1_700_000_000_120_000_000),
            "2023-11-14T22:13:20.12Z"
        );
        assert_eq!(
            written(1_700_000_000_000_000_001),
            "2023-11-14T22:13:20.000000001Z"
        );
    }

    #[test]
    fn what_was_written_is_read_back() {
        for time in [
            0,
            1,
            951_782_399_999_999_999,
            1_709_164_800_500_000_000,
            4_102_444_800_000_000_000,
        ] {
            assert_eq!(parse_rfc3339(written(time).as_bytes()), Some(time));
        }
        assert_eq!(parse_rfc3339(b"1970-01-01T01:00:00+01:00"), Some(0));
        for bad in [
            "",
            "1970-01-01",
            "1970-13-01T00:00:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00",
        ] {
            assert_eq!(parse_rfc3339(bad.as_bytes()), None, "{bad}");
        }
    }
}
