//! Time as Docker writes it.

use jiff::Timestamp;

/// What Docker writes for "never".
pub(crate) const ZERO: &str = "0001-01-01T00:00:00Z";

/// The time now.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// RFC 3339 with as many of nine digits as are not trailing zeros, as Go's `RFC3339Nano`.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    time.to_string()
}

/// The same, with [`ZERO`] for a time that never came.
pub(crate) fn rfc3339_or_zero(time: Option<Timestamp>) -> String {
    time.map_or_else(|| ZERO.to_owned(), rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        let time: Timestamp = "2026-11-22T02:40:14.120000000Z".parse().unwrap();
        assert_eq!(rfc3339(time), "2026-11-22T02:40:14.12Z");
        assert_eq!(rfc3339_or_zero(None), "0001-01-01T00:00:00Z");
    }
}
