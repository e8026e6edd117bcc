//! What a registry said, or did not, in the words that Docker's clients know.

use serde::Deserialize;

use crate::digest::Digest;
use crate::error::Kind;

/// A request to a registry that failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// There is no such manifest.
    #[error("manifest for {reference} not found: {cause}")]
    NoManifest {
        /// What was asked for.
        reference: String,
        /// What the registry said.
        cause: String,
    },
    /// There is no such repository.
    #[error("repository {reference} not found: {cause}")]
    NoRepository {
        /// What was asked for.
        reference: String,
        /// What the registry said.
        cause: String,
    },
    /// The registry does not say whether there is one.
    #[error(
        "pull access denied for {reference}, repository does not exist or may require 'docker login': {cause}"
    )]
    PullDenied {
        /// What was asked for.
        reference: String,
        /// What the registry said.
        cause: String,
    },
    /// The index holds nothing for this platform.
    #[error("no matching manifest for {0} in the manifest list entries")]
    NoPlatform(String),
    /// Credentials are wrong or missing.
    #[error("{0}")]
    Unauthorized(String),
    /// Not allowed.
    #[error("{0}")]
    Denied(String),
    /// Anything else the registry refuses.
    #[error("{method} {url}: {cause}")]
    Refused {
        /// `Get`, `Put` …
        method: &'static str,
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// What the registry said.
        cause: String,
    },
    /// No connection, or it broke too often.
    #[error("{method} {url}: {cause}")]
    Unreachable {
        /// `Get`, `Put` …
        method: &'static str,
        /// What was asked.
        url: String,
        /// Why.
        cause: String,
    },
    /// An answer that is no answer to the question.
    #[error("{host} does not answer like a registry: {what}")]
    Rubbish {
        /// Who.
        host: String,
        /// What was wrong.
        what: String,
    },
    /// A document is not what its digest says.
    #[error("manifest verification failed for digest {0}")]
    Unverified(Digest),
    /// A manifest of a kind nobody makes any more.
    #[error(
        "image {0} uses the manifest schema 1, which is no longer supported: push it again with a current tool"
    )]
    SchemaOne(String),
    /// Something of the kind of an artifact, not an image.
    #[error("{0}")]
    NoImage(String),
    /// The client could not be set up.
    #[error("prepare the connection to {host}: {cause}")]
    Setup {
        /// Whom to.
        host: String,
        /// Why not.
        cause: String,
    },
}

impl RegistryError {
    /// What the failure means to the one who asked.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoManifest { .. }
            | Self::NoRepository { .. }
            | Self::PullDenied { .. }
            | Self::NoPlatform(_) => Kind::NotFound,
            Self::Unauthorized(_) => Kind::Unauthorized,
            Self::Denied(_) => Kind::Forbidden,
            Self::SchemaOne(_) | Self::NoImage(_) | Self::Unverified(_) => Kind::BadParameter,
            Self::Refused { status: 404, .. } => Kind::NotFound,
            Self::Refused { .. } | Self::Unreachable { .. } | Self::Rubbish { .. } => {
                Kind::Unavailable
            }
            Self::Setup { .. } => Kind::Internal,
        }
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status >= 500 || *status == 429 || *status == 408,
            Self::Unreachable { .. } => true,
            _ => false,
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    errors: Vec<Item>,
    #[serde(default)]
    details: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// An error answer: the codes it names, and what it says in Docker's way (`manifest unknown: manifest unknown`).
pub(crate) struct Said {
    pub(crate) codes: Vec<String>,
    pub(crate) text: String,
}

impl Said {
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
            return Self::plain(status, &String::from_utf8_lossy(body));
        };
        if answer.errors.is_empty() {
            let text = if answer.details.is_empty() {
                answer.message
            } else {
                answer.details
            };
            return Self::plain(status, &text);
        }
        let words = |item: &Item| {
            let code = item.code.to_lowercase().replace('_', " ");
            if item.message.is_empty() {
                code
            } else {
                format!("{code}: {}", item.message)
            }
        };
        let text = answer
            .errors
            .iter()
            .map(words)
            .collect::<Vec<_>>()
            .join("\n");
        Self {
            codes: answer.errors.into_iter().map(|item| item.code).collect(),
            text,
        }
    }

    fn plain(status: u16, text: &str) -> Self {
        let text: String = text.trim().chars().take(200).collect();
        let (code, short, words) = match status {
            401 => ("UNAUTHORIZED", "unauthorized", "authentication required"),
            403 => (
                "DENIED",
                "denied",
                "requested access to the resource is denied",
            ),
            429 => ("TOOMANYREQUESTS", "toomanyrequests", "too many requests"),
            404 => ("", "not found", "the registry says no more"),
            _ => ("", "unexpected answer", "the registry says no more"),
        };
        let said = if text.is_empty() || text.starts_with('<') {
            words
        } else {
            &text
        };
        let text = match status {
            401 | 403 | 429 => format!("{short}: {said}"),
            _ => format!("{short} (status {status}): {said}"),
        };
        Self {
            codes: vec![code.into()],
            text,
        }
    }

    pub(crate) fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|known| known == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_dockers_words() {
        let text = |status, body: &str| Said::new(status, body.as_bytes()).text;
        let unknown = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#;
        assert_eq!(text(404, unknown), "manifest unknown: manifest unknown");
        let denied = r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
        assert_eq!(
            text(403, denied),
            "denied: requested access to the resource is denied"
        );
        assert_eq!(
            text(401, r#"{"details":"incorrect username or password"}"#),
            "unauthorized: incorrect username or password"
        );
        assert_eq!(
            text(502, "<html>x"),
            "unexpected answer (status 502): the registry says no more"
        );
    }
}
