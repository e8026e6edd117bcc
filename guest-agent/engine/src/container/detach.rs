//! The keys that end an attachment: found in what a client types, and kept from the container.

use crate::{Error, Result};

/// Docker's own.
const DEFAULT: &str = "ctrl-p,ctrl-q";

/// A sequence of keys being watched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

impl DetachKeys {
    /// Reads `ctrl-p,ctrl-q`, `a,b`, `ctrl-@`; the default if nothing is given.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self> {
        let text = text.filter(|text| !text.is_empty()).unwrap_or(DEFAULT);
        let wrong = |key: &str| {
            Error::bad(format!(
                "Invalid detach keys ({text}) provided: Unknown character: '{key}'"
            ))
        };
        let keys = text
            .split(',')
            .map(|key| code(key).ok_or_else(|| wrong(key)))
            .collect::<Result<_>>()?;
        Ok(DetachKeys { keys, matched: 0 })
    }

    /// What of `typed` goes on to the container, and whether the sequence is complete. A sequence begun is held back
    /// until it turns out to be something else.
    pub(crate) fn pass(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut on = Vec::with_capacity(typed.len());
        for byte in typed {
            if *byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return (on, true);
                }
                continue;
            }
            on.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(*byte == self.keys[0]);
            if self.matched == 0 {
                on.push(*byte);
            }
        }
        (on, false)
    }
}

fn code(key: &str) -> Option<u8> {
    match (key.as_bytes(), key.strip_prefix("ctrl-").map(str::as_bytes)) {
        ([byte], _) => Some(*byte),
        (_, Some([letter @ b'a'..=b'z'])) => Some(letter - b'a' + 1),
        (_, Some(b"@")) => Some(0),
        (_, Some(b"[")) => Some(27),
        (_, Some(b"\\")) => Some(28),
        (_, Some(b"]")) => Some(29),
        (_, Some(b"^")) => Some(30),
        (_, Some(b"_")) => Some(31),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: Option<&str>, typed: &[&[u8]], expected: &[u8], detached: bool) {
        let mut keys = DetachKeys::parse(keys).unwrap();
        let mut passed = Vec::new();
        let mut done = false;
        for part in typed {
            let (on, now) = keys.pass(part);
            passed.extend(on);
            done |= now;
        }
        assert_eq!((passed.as_slice(), done), (expected, detached));
    }

    #[test]
    fn keys_are_found_across_packets_and_others_pass() {
        check(None, &[b"ls\n"], b"ls\n", false);
        check(None, &[b"ls\x10\x11more"], b"ls", true);
        check(None, &[b"a\x10", b"\x11"], b"a", true);
        check(None, &[b"a\x10", b"b"], b"a\x10b", false);
        check(None, &[b"\x10\x10\x11"], b"\x10", true);
        check(Some("q"), &[b"aq"], b"a", true);
        check(Some("ctrl-@,x"), &[b"\x00y"], b"\x00y", false);
    }

    #[test]
    fn unknown_keys_are_refused() {
        let told = DetachKeys::parse(Some("shift-a,b")).unwrap_err().told();
        assert_eq!(
            told,
            "Invalid detach keys (shift-a,b) provided: Unknown character: 'shift-a'"
        );
    }
}
