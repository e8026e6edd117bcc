//! What a user types to name an image, normalised as Docker does.
//!
//! `alpine` is `docker.io/library/alpine:latest`. The grammar is the one of distribution's `reference` package:
//! `[domain[:port]/]path[:tag][@digest]`, and the refusals have its words, because clients show and match them.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// The domain that a name without one means.
pub(crate) const DEFAULT_DOMAIN: &str = "docker.io";
/// The tag that a name without one means.
pub(crate) const DEFAULT_TAG: &str = "latest";

/// A normalised image name: domain, path, and a tag or a digest or both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not a [`Reference`], in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// The grammar does not match.
    #[error("invalid reference format")]
    Format,
    /// The path holds upper-case letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// Nothing where a name should be.
    #[error("invalid reference format: repository name must have at least one component")]
    Empty,
    /// More than 255 characters.
    #[error("invalid reference format: repository name must not be more than 255 characters")]
    Long,
    /// 64 hex digits are always an image id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    /// The digest behind `@`.
    #[error("invalid reference format: {0}")]
    Digest(#[from] crate::digest::BadDigest),
}

impl Reference {
    /// Reads a name as a user types it. Neither tag nor digest is added.
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(BadReference::LooksLikeId(text.into()));
        }
        let (domain, rest) = split_domain(text);
        let name = rest.split(':').next().unwrap_or_default();
        if name.chars().any(char::is_uppercase) {
            return Err(BadReference::Uppercase(name.into()));
        }
        if text.is_empty() {
            return Err(BadReference::Empty);
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest.to_owned(), Some(digest.parse()?)),
            None => (rest, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path.to_owned(), Some(tag.to_owned())),
            None => (rest, None),
        };
        if !is_domain(&domain) || !is_path(&path) || !tag.as_deref().is_none_or(is_tag) {
            return Err(BadReference::Format);
        }
        if domain.len() + 1 + path.len() > 255 {
            return Err(BadReference::Long);
        }
        Ok(Self {
            domain,
            path,
            tag,
            digest,
        })
    }

    /// The same name with the default tag, if it has neither tag nor digest.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.into());
        }
        self
    }

    /// The same repository with this tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, BadReference> {
        if !is_tag(tag) {
            return Err(BadReference::Format);
        }
        Ok(Self {
            tag: Some(tag.into()),
            digest: None,
            ..self.clone()
        })
    }

    /// The same repository with this digest and no tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The repository alone.
    #[must_use]
    pub fn repository(&self) -> Self {
        Self {
            tag: None,
            digest: None,
            ..self.clone()
        }
    }

    /// The registry's host and port, as the user means it (`docker.io`).
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository's path on the registry (`library/alpine`).
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if the name has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the name has one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Domain and path: `docker.io/library/alpine`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// Domain and path in the short form Docker shows: `alpine`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.strip_prefix("library/") {
            Some(short) if !short.contains('/') => short.into(),
            _ => self.path.clone(),
        }
    }

    /// The whole reference in the short form Docker shows: `alpine:latest`.
    pub fn familiar(&self) -> String {
        self.suffixed(self.familiar_name())
    }

    fn suffixed(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        Self::parse(text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffixed(self.name()))
    }
}

/// The first component is a domain only if it looks like one.
fn split_domain(text: &str) -> (String, String) {
    let (domain, rest) = match text.split_once('/') {
        Some((first, rest)) if looks_like_domain(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    };
    let domain = if domain == "index.docker.io" {
        DEFAULT_DOMAIN
    } else {
        domain
    };
    if domain == DEFAULT_DOMAIN && !rest.contains('/') {
        return (domain.into(), format!("library/{rest}"));
    }
    (domain.into(), rest.into())
}

fn looks_like_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.chars().any(char::is_uppercase)
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port))
                if address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') =>
            {
                (
                    if address.is_empty() { "" } else { "v6" },
                    port.strip_prefix(':').or(port.is_empty().then_some("0")),
                )
            }
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("0")),
        },
    };
    let label = |l: &str| {
        !l.is_empty()
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    host.split('.').all(label)
        && port.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

fn is_path(path: &str) -> bool {
    path.split('/').all(is_component)
}

/// Lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between runs of them.
fn is_component(component: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !word(first) || !word(last) {
        return false;
    }
    bytes.split(|b| word(*b)).all(|between| {
        matches!(between, b"" | b"." | b"_" | b"__") || between.iter().all(|b| *b == b'-')
    })
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut bytes = tag.bytes();
    tag.len() <= 128
        && bytes.next().is_some_and(word)
        && bytes.all(|b| word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn check(text: &str, canonical: &str, familiar: &str) {
        let reference = Reference::parse(text)
            .unwrap_or_else(|e| panic!("{text}: {e}"))
            .or_latest();
        assert_eq!(reference.to_string(), canonical, "{text}");
        assert_eq!(reference.familiar(), familiar, "{text}");
        assert_eq!(
            Reference::parse(canonical).unwrap(),
            reference,
            "{canonical}"
        );
    }

    #[test]
    fn normalised_as_docker_does() {
        check("alpine", "docker.io/library/alpine:latest", "alpine:latest");
        check(
            "alpine:3.20",
            "docker.io/library/alpine:3.20",
            "alpine:3.20",
        );
        check(
            "library/alpine",
            "docker.io/library/alpine:latest",
            "alpine:latest",
        );
        check(
            "proa/hello",
            "docker.io/proa/hello:latest",
            "proa/hello:latest",
        );
        check(
            "docker.io/alpine",
            "docker.io/library/alpine:latest",
            "alpine:latest",
        );
        check(
            "index.docker.io/alpine",
            "docker.io/library/alpine:latest",
            "alpine:latest",
        );
        check("localhost/a", "localhost/a:latest", "localhost/a:latest");
        check(
            "localhost:5000/a/b:t",
            "localhost:5000/a/b:t",
            "localhost:5000/a/b:t",
        );
        check(
            "127.0.0.1:5000/a",
            "127.0.0.1:5000/a:latest",
            "127.0.0.1:5000/a:latest",
        );
        check("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest");
        check("ghcr.io/o/r:v1", "ghcr.io/o/r:v1", "ghcr.io/o/r:v1");
        check("MyHost/a", "MyHost/a:latest", "MyHost/a:latest");
        check(
            "docker.io/library/a/b",
            "docker.io/library/a/b:latest",
            "library/a/b:latest",
        );
        check(
            "a__b/c--d.e_f",
            "docker.io/a__b/c--d.e_f:latest",
            "a__b/c--d.e_f:latest",
        );
        let digest = format!("alpine@sha256:{HEX}");
        check(&digest, &format!("docker.io/library/{digest}"), &digest);
        let both = format!("alpine:3@sha256:{HEX}");
        check(&both, &format!("docker.io/library/{both}"), &both);
    }

    #[test]
    fn refused_in_dockers_words() {
        let refused = |text: &str| Reference::parse(text).unwrap_err().to_string();
        assert_eq!(
            refused("Foo"),
            "invalid reference format: repository name (library/Foo) must be lowercase"
        );
        assert_eq!(
            refused("foo/Bar:T"),
            "invalid reference format: repository name (foo/Bar) must be lowercase"
        );
        let long = format!("a/{}", "b".repeat(255));
        let invalid = [
            "a:",
            ":a",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a-",
            "a_.b",
            "a___b",
            "a..b",
            "a b",
            "a:b:c",
            "a:-t",
            "a.com/",
            "a.com:x/b",
            "a.com:/b",
            "-a.com/b",
            "a@b",
            "é",
            "a\n",
            "[::1]x/a",
            "[]/a:b:c",
        ];
        for text in invalid {
            assert!(
                refused(text).starts_with("invalid reference format"),
                "{text}: {}",
                refused(text)
            );
        }
        assert!(refused(&format!("a:{}", "t".repeat(129))).starts_with("invalid reference format"));
        assert!(refused(&long).ends_with("more than 255 characters"));
        assert!(refused(HEX).contains("cannot specify 64-byte hexadecimal strings"));
        assert!(!refused("").is_empty());
    }

    #[test]
    fn parts() {
        let reference = Reference::parse("localhost:5000/a:t").unwrap();
        assert_eq!(
            (reference.domain(), reference.path(), reference.tag()),
            ("localhost:5000", "a", Some("t"))
        );
        assert_eq!(reference.repository().to_string(), "localhost:5000/a");
        assert_eq!(
            reference.with_tag("u").unwrap().to_string(),
            "localhost:5000/a:u"
        );
        assert!(reference.with_tag("u/v").is_err());
    }
}
