//! Ages for people: `2 minutes ago`, with Docker's steps.

use jiff::Timestamp;

/// A span of seconds as Docker words it.
pub(crate) fn span(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds as f64 / 3600.0).round() as i64);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// How long ago a moment (seconds since 1970) was.
pub(crate) fn since(seconds: i64, now: Timestamp) -> String {
    format!("{} ago", span(now.as_second() - seconds))
}

/// A moment in the local time zone, as Docker's tables spell it in full.
pub(crate) fn spelled(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(moment) => moment
            .to_zoned(jiff::tz::TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S %z %Z")
            .to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_worded_as_dockers() {
        let cases = [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (3600 * 3, "3 hours"),
            (3600 * 24 * 3, "3 days"),
            (3600 * 24 * 21, "3 weeks"),
            (3600 * 24 * 90, "3 months"),
            (3600 * 24 * 365 * 3, "3 years"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(span(seconds), expected, "{seconds}");
        }
    }
}
