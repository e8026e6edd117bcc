//! What is asked of registries beside pulling and pushing: search, login, what a name stands for.

use crate::digest::Digest;
use crate::documents::Descriptor;
use crate::error::Error;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::registry::{
    Credentials, Document, Login, RegistryError, SearchResult, Session, login, search,
};
use crate::store::Store;

/// What a name stands for on its registry.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// The manifest or index.
    pub descriptor: Descriptor,
    /// The platforms it has images for.
    pub platforms: Vec<Platform>,
}

impl Store {
    /// Checks credentials against a registry, by its domain.
    pub async fn login(&self, domain: &str, credentials: &Credentials) -> Result<Login, Error> {
        Ok(login(&self.0.endpoints, &self.0.settings, domain, credentials).await?)
    }

    /// Searches Docker Hub, or the registry that the term starts with.
    pub async fn search(
        &self,
        term: &str,
        limit: usize,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<SearchResult>, Error> {
        Ok(search(
            &self.0.endpoints,
            &self.0.settings,
            term,
            limit,
            credentials,
        )
        .await?)
    }

    /// Asks a registry what a name stands for.
    pub async fn distribution(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
    ) -> Result<Distribution, Error> {
        let reference = reference.clone().or_latest();
        let places = self
            .0
            .endpoints
            .of(&self.0.settings, reference.domain(), false)
            .await?;
        let place = places.into_iter().next_back();
        let place =
            place.ok_or_else(|| RegistryError::NoImage(format!("nobody serves {reference}")))?;
        let session = Session::new(place, reference.clone(), credentials, "pull");
        let target = reference
            .digest()
            .map_or_else(|| reference.tag().unwrap_or_default(), Digest::as_str);
        let fetched = session.manifest(target).await?;
        let platforms = match &fetched.document {
            Document::Index(index) => index
                .manifests
                .iter()
                .filter_map(|offer| offer.platform.clone())
                .collect(),
            Document::Manifest(manifest) => {
                let raw = session.small_blob(&manifest.config, 16 << 20).await?;
                let config: Option<Platform> = serde_json::from_slice(&raw).ok();
                config.into_iter().collect()
            }
        };
        let descriptor = Descriptor {
            media_type: fetched.media_type,
            digest: fetched.digest,
            size: fetched.bytes.len() as u64,
            urls: Vec::new(),
            annotations: std::collections::BTreeMap::new(),
            platform: None,
        };
        Ok(Distribution {
            descriptor,
            platforms,
        })
    }

    /// The tags of a repository, for pulling all of them.
    pub async fn remote_tags(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<String>, Error> {
        let places = self
            .0
            .endpoints
            .of(&self.0.settings, reference.domain(), false)
            .await?;
        let place = places.into_iter().next_back();
        let place =
            place.ok_or_else(|| RegistryError::NoImage(format!("nobody serves {reference}")))?;
        Ok(Session::new(place, reference.clone(), credentials, "pull")
            .tags()
            .await?)
    }
}
