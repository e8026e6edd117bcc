//! Manifests: fetching one by tag or digest, and choosing the one for a platform.

use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};

use super::session::limited;
use super::{RegistryError, Session};
use crate::digest::Digest;
use crate::documents::{Descriptor, Index, Manifest, media};
use crate::platform::Platform;
use crate::reference::Reference;

/// Manifests are small; the specification asks registries to take 4 MiB.
const MAX_MANIFEST: usize = 8 << 20;
/// Indexes in indexes are rare, loops must end.
const MAX_DEPTH: usize = 4;

/// A manifest or an index.
#[derive(Debug)]
pub(crate) enum Document {
    Manifest(Manifest),
    Index(Index),
}

/// A document as the registry sent it.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) document: Document,
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
}

/// The manifest that fits, and the digest the user's name stands for (the index's, if there is one).
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) manifest: Manifest,
    pub(crate) bytes: Vec<u8>,
    pub(crate) named: Digest,
}

impl Session {
    /// The manifest of the session's reference for a platform.
    pub(crate) async fn choose(
        &self,
        platform: &Platform,
        strict: bool,
    ) -> Result<Chosen, RegistryError> {
        let reference = &self.reference;
        let target = reference
            .digest()
            .map_or_else(|| reference.tag().unwrap_or("latest"), Digest::as_str);
        let mut fetched = self.manifest(target).await?;
        let named = fetched.digest.clone();
        for _ in 0..MAX_DEPTH {
            match fetched.document {
                Document::Manifest(manifest) => {
                    return Ok(Chosen {
                        manifest,
                        bytes: fetched.bytes,
                        named,
                    });
                }
                Document::Index(index) => {
                    let best = choose(&index, platform, strict);
                    let best =
                        best.ok_or_else(|| RegistryError::NoPlatform(platform.to_string()))?;
                    fetched = self.manifest(best.digest.as_str()).await?;
                }
            }
        }
        Err(self.rubbish("its indexes are nested too deep"))
    }

    /// The document behind a tag or a digest. A digest is verified.
    pub(crate) async fn manifest(&self, target: &str) -> Result<Fetched, RegistryError> {
        let accepted = [
            media::MANIFEST,
            media::INDEX,
            media::DOCKER_MANIFEST,
            media::DOCKER_LIST,
            "application/json",
        ];
        let headers =
            HeaderMap::from_iter(accepted.map(|kind| (ACCEPT, HeaderValue::from_static(kind))));
        let url = self.url(&format!("manifests/{target}"))?;
        let response = self
            .ask(Method::GET, url, &headers)
            .await
            .map_err(|error| named(error, &self.reference))?;
        let declared = response
            .headers()
            .get("content-type")
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let bytes =
            limited(response, MAX_MANIFEST)
                .await
                .map_err(|cause| RegistryError::Unreachable {
                    method: "Get",
                    url: format!("{}/manifests/{target}", self.reference),
                    cause,
                })?;
        let digest = Digest::of(&bytes);
        if let Ok(wanted) = target.parse::<Digest>()
            && wanted != digest
        {
            return Err(RegistryError::Unverified(wanted));
        }
        let (document, media_type) =
            read_document(&bytes, &declared).map_err(|error| match error {
                BadDocument::SchemaOne => RegistryError::SchemaOne(self.reference.to_string()),
                BadDocument::Other(what) => {
                    self.rubbish(format!("what it has for {target} is no manifest: {what}"))
                }
            })?;
        Ok(Fetched {
            document,
            bytes,
            digest,
            media_type,
        })
    }
}

impl Session {
    /// The repository's tags.
    pub(crate) async fn tags(&self) -> Result<Vec<String>, RegistryError> {
        #[derive(serde::Deserialize)]
        struct Tags {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let url = self.url("tags/list")?;
        let response = self.ask(Method::GET, url, &HeaderMap::new()).await;
        let response = response.map_err(|error| named(error, &self.reference))?;
        let body = limited(response, MAX_MANIFEST)
            .await
            .map_err(|what| self.rubbish(what))?;
        let tags: Tags = serde_json::from_slice(&body)
            .map_err(|error| self.rubbish(format!("its list of tags is malformed: {error}")))?;
        Ok(tags.tags.unwrap_or_default())
    }
}

/// A refusal to give a manifest, with the name that was asked for.
fn named(error: RegistryError, reference: &Reference) -> RegistryError {
    let name = reference.familiar();
    match error {
        RegistryError::NoManifest { cause, .. } => RegistryError::NoManifest {
            reference: name,
            cause,
        },
        RegistryError::NoRepository { cause, .. } => RegistryError::NoRepository {
            reference: reference.familiar_name(),
            cause,
        },
        RegistryError::Denied(cause) => RegistryError::PullDenied {
            reference: reference.familiar_name(),
            cause,
        },
        RegistryError::Unauthorized(cause)
            if cause.contains("denied") || cause.contains("authentication required") =>
        {
            RegistryError::PullDenied {
                reference: reference.familiar_name(),
                cause,
            }
        }
        RegistryError::Refused {
            status: 404, cause, ..
        } => RegistryError::NoManifest {
            reference: name,
            cause,
        },
        other => other,
    }
}

/// Why bytes are no manifest.
#[derive(Debug)]
pub(crate) enum BadDocument {
    SchemaOne,
    Other(String),
}

/// Reads a manifest or an index; what it is shows in its fields, whatever its media type says.
pub(crate) fn read_document(
    bytes: &[u8],
    declared: &str,
) -> Result<(Document, String), BadDocument> {
    let other = |error: serde_json::Error| BadDocument::Other(error.to_string());
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(other)?;
    let has = |field: &str| value.get(field).is_some_and(|v| !v.is_null());
    let own = value
        .get("mediaType")
        .and_then(|v| v.as_str())
        .unwrap_or_default()
        .to_owned();
    let old = [media::DOCKER_SCHEMA1, media::DOCKER_SCHEMA1_SIGNED].contains(&declared);
    if old
        || has("fsLayers")
        || value
            .get("schemaVersion")
            .and_then(serde_json::Value::as_u64)
            == Some(1)
    {
        return Err(BadDocument::SchemaOne);
    }
    let kind = |fallback: &str| {
        let declared = declared.split(';').next().unwrap_or_default();
        let known = declared.starts_with("application/vnd.");
        if !own.is_empty() {
            own.clone()
        } else if known {
            declared.to_owned()
        } else {
            fallback.to_owned()
        }
    };
    if has("manifests") {
        let index = serde_json::from_value(value).map_err(other)?;
        return Ok((Document::Index(index), kind(media::INDEX)));
    }
    if has("config") {
        let manifest = serde_json::from_value(value).map_err(other)?;
        return Ok((Document::Manifest(manifest), kind(media::MANIFEST)));
    }
    Err(BadDocument::Other("neither config nor manifests".into()))
}

/// The manifest that runs best on a platform. An index of one manifest without a platform means that one.
pub(crate) fn choose<'a>(
    index: &'a Index,
    platform: &Platform,
    strict: bool,
) -> Option<&'a Descriptor> {
    let offers = index
        .manifests
        .iter()
        .filter(|offer| !is_attestation(offer));
    let fit = |offer: &&Descriptor| {
        let suitability = platform.suitability(offer.platform.as_ref()?)?;
        // Another processor's image only when nobody asked for this one by name.
        (!strict || suitability < 100).then_some(suitability)
    };
    let best = offers
        .clone()
        .filter(|offer| fit(offer).is_some())
        .min_by_key(fit);
    best.or_else(|| {
        let mut unmarked =
            offers.filter(|offer| offer.platform.as_ref().is_none_or(|p| p.os.is_empty()));
        unmarked.next()
    })
}

/// Build records that stand among the manifests.
fn is_attestation(offer: &Descriptor) -> bool {
    offer.annotations.contains_key("vnd.docker.reference.type")
        || offer.platform.as_ref().is_some_and(|p| p.os == "unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[&str]) -> Index {
        let entries: Vec<String> = platforms
            .iter()
            .map(|p| {
                let digest = Digest::of(p.as_bytes());
                let mut parts = p.split('/').chain(["", ""]);
                let (os, arch, variant) = (
                    parts.next().unwrap(),
                    parts.next().unwrap(),
                    parts.next().unwrap(),
                );
                let platform =
                    format!(r#"{{"os":"{os}","architecture":"{arch}","variant":"{variant}"}}"#);
                let platform = if os.is_empty() {
                    "null".into()
                } else {
                    platform
                };
                format!(r#"{{"digest":"{digest}","size":1,"platform":{platform}}}"#)
            })
            .collect();
        serde_json::from_str(&format!(r#"{{"manifests":[{}]}}"#, entries.join(","))).unwrap()
    }

    #[test]
    fn the_fitting_manifest_is_chosen() {
        let check = |offers: &[&str], want: &str, chosen: Option<&str>| {
            let index = index(offers);
            let found = choose(&index, &want.parse().unwrap(), true).map(|d| d.digest.clone());
            assert_eq!(
                found,
                chosen.map(|c| Digest::of(c.as_bytes())),
                "{want} of {offers:?}"
            );
        };
        check(
            &["linux/arm64/v8", "linux/amd64"],
            "linux/amd64",
            Some("linux/amd64"),
        );
        check(
            &["unknown/unknown", "linux/amd64"],
            "linux/amd64",
            Some("linux/amd64"),
        );
        check(
            &["linux/arm/v6", "linux/arm/v7"],
            "linux/arm/v7",
            Some("linux/arm/v7"),
        );
        check(&["linux/arm/v7"], "linux/arm64", None);
        check(&["linux/s390x"], "linux/amd64", None);
        check(&[""], "linux/amd64", Some(""));
    }

    #[test]
    fn documents_are_told_by_their_fields() {
        let digest = Digest::of(b"");
        let manifest = format!(r#"{{"config":{{"digest":"{digest}"}},"layers":[]}}"#);
        assert!(
            matches!(read_document(manifest.as_bytes(), "text/plain"), Ok((Document::Manifest(_), kind)) if kind == media::MANIFEST)
        );
        assert!(matches!(
            read_document(br#"{"manifests":[]}"#, ""),
            Ok((Document::Index(_), _))
        ));
        assert!(matches!(
            read_document(br#"{"schemaVersion":1,"fsLayers":[]}"#, ""),
            Err(BadDocument::SchemaOne)
        ));
        for rubbish in [
            "",
            "<html>",
            "{}",
            "[]",
            "null",
            r#"{"config":3}"#,
            r#"{"manifests":{}}"#,
        ] {
            assert!(
                matches!(
                    read_document(rubbish.as_bytes(), ""),
                    Err(BadDocument::Other(_))
                ),
                "{rubbish}"
            );
        }
    }
}
