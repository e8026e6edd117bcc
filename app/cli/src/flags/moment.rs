//! Points in time: RFC 3339, a date, seconds since 1970, or so long ago (`42m`).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::duration;

/// Reads a moment, as `seconds.nanoseconds` since 1970, which is what the engine takes.
pub(crate) fn seconds(text: &str, now: Timestamp) -> Result<String, String> {
    if let Ok(ago) = duration::nanoseconds(text) {
        let moment = now
            .checked_sub(SignedDuration::from_nanos(ago))
            .map_err(|error| error.to_string())?;
        return Ok(spelled(moment));
    }
    if !text.is_empty()
        && text.chars().all(|c| c.is_ascii_digit() || c == '.')
        && text.matches('.').count() < 2
    {
        return Ok(text.to_owned());
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(spelled(moment));
    }
    local(text).map(spelled).ok_or_else(|| {
        format!("{text:?} is no point in time: expected 2013-01-02T13:23:37Z, seconds since 1970, or so long ago like 42m")
    })
}

fn local(text: &str) -> Option<Timestamp> {
    // A zone may follow without a date's usual shape: `2013-01-02Z` is not one.
    let padded = match text.len() {
        13 => format!("{text}:00"),
        _ => text.to_owned(),
    };
    let civil = padded.parse::<DateTime>().ok()?;
    Some(civil.to_zoned(TimeZone::system()).ok()?.timestamp())
}

fn spelled(moment: Timestamp) -> String {
    let nanos = moment.as_nanosecond();
    format!(
        "{}.{:09}",
        nanos.div_euclid(1_000_000_000),
        nanos.rem_euclid(1_000_000_000)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_absolute_or_ago() {
        let now = Timestamp::from_second(1_000_000).expect("a moment");
        let check = |text: &str, expected: &str| {
            assert_eq!(seconds(text, now).as_deref(), Ok(expected), "{text}");
        };
        check("10m", "999400.000000000");
        check("1136073845", "1136073845");
        check("1136073845.000000001", "1136073845.000000001");
        check("2006-01-02T15:04:05Z", "1136214245.000000000");
        check("2006-01-02T15:04:05.5+01:00", "1136210645.500000000");
        assert!(seconds("2006-01-02", now).is_ok() && seconds("2006-01-02T15:04", now).is_ok());
        assert!(seconds("yesterday", now).is_err());
    }
}
