//! Time as the engine keeps it: nanoseconds since 1970.

use jiff::Timestamp;
use proa_protocol::timestamp;

/// The time now.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The time a monitor recorded.
pub(crate) fn from_nanoseconds(time: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(time)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// As documents write it, with Docker's word for a time that never came.
pub(crate) fn document(time: Option<Timestamp>) -> String {
    time.map_or_else(|| timestamp::NEVER.to_owned(), timestamp::document)
}
