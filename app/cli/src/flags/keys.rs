//! Detach keys: `ctrl-p,ctrl-q` and single characters.

use crate::failure::Failure;

/// The bytes that a sequence of keys sends; an empty text is the usual sequence.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, Failure> {
    if text.is_empty() {
        return Ok(vec![0x10, 0x11]);
    }
    text.split(',')
        .map(|key| {
            byte(key).ok_or_else(|| {
                Failure::usage(format!("invalid detach keys {text:?}: unknown key {key:?}"))
            })
        })
        .collect()
}

fn byte(key: &str) -> Option<u8> {
    let single = |text: &str| match text.as_bytes() {
        [byte] => Some(*byte),
        _ => None,
    };
    match key.strip_prefix("ctrl-") {
        Some("?") => Some(0x7f),
        Some(rest) => single(rest)
            .map(|c| c.to_ascii_lowercase())
            .and_then(|c| match c {
                b'a'..=b'z' => Some(c - b'a' + 1),
                b'@' => Some(0),
                b'[' => Some(27),
                b'\\' => Some(28),
                b']' => Some(29),
                b'^' => Some(30),
                b'_' => Some(31),
                _ => None,
            }),
        None if key == "DEL" => Some(0x7f),
        None => single(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_control_characters_or_plain() {
        for (text, expected) in [
            ("", &[16, 17][..]),
            ("ctrl-p,ctrl-q", &[16, 17]),
            ("ctrl-[,x", &[27, b'x']),
            ("ctrl-@", &[0]),
        ] {
            assert_eq!(bytes(text).ok().as_deref(), Some(expected), "{text}");
        }
        assert!(bytes("ctrl-1").is_err() && bytes("ab").is_err());
    }
}
