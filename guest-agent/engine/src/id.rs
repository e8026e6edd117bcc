//! Identifiers: 64 hex digits, told apart by any prefix that is unique.

use std::{fmt, fs::File, io::Read, str::FromStr};

use serde::{Deserialize, Serialize};

/// A container's or exec's identifier: 64 lower-case hex digits; no other value exists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(Box<str>);

/// The text is not 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 64 lower-case hex digits")]
pub struct BadId;

impl Id {
    /// A new one. Never all digits in its first twelve places, because a host name of digits alone is read as a
    /// number by some programs.
    pub fn random() -> std::io::Result<Self> {
        loop {
            let text = random_hex()?;
            if text.bytes().take(12).any(|b| b.is_ascii_alphabetic()) {
                return Ok(Id(text.into()));
            }
        }
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits: the default host name, and what tables show.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// 64 random hex digits.
pub(crate) fn random_hex() -> std::io::Result<String> {
    use fmt::Write;
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        }))
}

/// Ids sort and are looked up as their text.
impl std::borrow::Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 64 && text.bytes().all(hex))
            .then(|| Id(text.into()))
            .ok_or(BadId)
    }
}

impl TryFrom<String> for Id {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.0.into()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_64_lower_case_hex_digits() {
        let id = Id::random().unwrap();
        assert_eq!(id.as_str().len(), 64);
        assert_eq!(id.as_str().parse::<Id>(), Ok(id));
        assert_eq!("ABC".parse::<Id>(), Err(BadId));
        assert_eq!("A".repeat(64).parse::<Id>(), Err(BadId));
    }
}
