//! The header `X-Registry-Auth`: base64 of an [`AuthConfig`] in JSON, in either alphabet, with or without padding.

use crate::docker::AuthConfig;

/// Why the header cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadAuth {
    /// Not base64.
    #[error("invalid X-Registry-Auth header: invalid base64")]
    Base64,
    /// Not the document.
    #[error("invalid X-Registry-Auth header")]
    Json(#[source] serde_json::Error),
}

/// Reads the header's value. An empty one, or `{}`, means to go without credentials.
pub fn decode(header: &str) -> Result<Option<AuthConfig>, BadAuth> {
    if header.is_empty() {
        return Ok(None);
    }
    let bytes = base64(header).ok_or(BadAuth::Base64)?;
    let auth: AuthConfig = serde_json::from_slice(&bytes).map_err(BadAuth::Json)?;
    Ok((auth != AuthConfig::default()).then(|| auth.with_decoded_auth()))
}

impl AuthConfig {
    /// Fills user and password from `auth`, where only that was given.
    #[must_use]
    pub fn with_decoded_auth(mut self) -> Self {
        if self.username.is_empty() && !self.auth.is_empty() {
            let pair = base64(&self.auth).and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some((user, password)) = pair.as_deref().and_then(|pair| pair.split_once(':')) {
                user.clone_into(&mut self.username);
                password
                    .trim_end_matches('\0')
                    .clone_into(&mut self.password);
            }
        }
        self
    }
}

/// Decodes base64 in the standard or the URL-safe alphabet; padding may be missing.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0u32, 0u32);
    for &byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\r' | b'\n' => continue,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    (held < 6).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_and_missing_padding_are_read() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg==", b"f"),
            ("Zg", b"f"),
            ("Zm8=", b"fo"),
            ("Zm9v", b"foo"),
            ("-_-_", &[0xfb, 0xff, 0xbf]),
            ("+/+/", &[0xfb, 0xff, 0xbf]),
        ] {
            assert_eq!(base64(text).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(base64("Z"), None);
        assert_eq!(base64("Zm 9v"), None);
    }

    #[test]
    fn an_empty_document_means_no_credentials() {
        assert_eq!(decode("").unwrap(), None);
        assert_eq!(decode("e30=").unwrap(), None);
    }

    #[test]
    fn user_and_password_come_from_either_place() {
        // {"username":"u","password":"p"}
        let auth = decode("eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InAifQ")
            .unwrap()
            .unwrap();
        assert_eq!((auth.username.as_str(), auth.password.as_str()), ("u", "p"));
        let auth = AuthConfig {
            auth: "dTpwOnE=".into(),
            ..AuthConfig::default()
        }
        .with_decoded_auth();
        assert_eq!(
            (auth.username.as_str(), auth.password.as_str()),
            ("u", "p:q")
        );
    }
}
