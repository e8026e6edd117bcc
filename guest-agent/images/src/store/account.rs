//! What a registry is asked beside images: search, and whether credentials are good.

use super::Store;
use crate::error::Error;
use crate::registry::{self, Credentials, Login, SearchResult};

impl Store {
    /// Asks a registry's search; `term` may start with the registry's host.
    pub async fn search(
        &self,
        term: &str,
        limit: usize,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<SearchResult>, Error> {
        let inner = &self.0;
        Ok(registry::search(&inner.endpoints, &inner.settings, term, limit, credentials).await?)
    }

    /// Checks credentials against a registry; `domain` is its host, with its port.
    pub async fn log_in(&self, domain: &str, credentials: &Credentials) -> Result<Login, Error> {
        let inner = &self.0;
        Ok(registry::login(&inner.endpoints, &inner.settings, domain, credentials).await?)
    }
}
