//! Search, which only Docker Hub answers in earnest.

use reqwest::Url;
use serde::Deserialize;

use super::endpoint::{Endpoints, chain};
use super::error::Said;
use super::session::limited;
use super::{Credentials, RegistryError};
use crate::store::Settings;

/// One repository that a search found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SearchResult {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub description: String,
    /// Stars given.
    #[serde(default)]
    pub star_count: i64,
    /// Whether Docker vouches for it.
    #[serde(default)]
    pub is_official: bool,
    /// Whether it is built automatically.
    #[serde(default)]
    pub is_automated: bool,
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    results: Vec<SearchResult>,
}

/// Asks a registry's search. `term` may start with the registry's host.
pub(crate) async fn search(
    endpoints: &Endpoints,
    settings: &Settings,
    term: &str,
    limit: usize,
    credentials: Option<&Credentials>,
) -> Result<Vec<SearchResult>, RegistryError> {
    let (host, query) = match term.split_once('/') {
        Some((host, query)) if host.contains(['.', ':']) || host == "localhost" => (host, query),
        _ => ("index.docker.io", term),
    };
    let all = endpoints.of(settings, host, false).await?;
    let Some(access) = all.into_iter().next_back() else {
        return Ok(Vec::new());
    };
    let mut url: Url = access
        .base
        .join("v1/search")
        .map_err(|error| RegistryError::Setup {
            host: host.into(),
            cause: error.to_string(),
        })?;
    url.query_pairs_mut()
        .append_pair("q", query)
        .append_pair("n", &limit.to_string());
    let mut request = access.client.get(url.clone());
    if let Some(login) = credentials.filter(|c| !c.username.is_empty()) {
        request = request.basic_auth(&login.username, Some(&login.password));
    }
    let unreachable = |cause| RegistryError::Unreachable {
        method: "Get",
        url: url.to_string(),
        cause,
    };
    let response = request
        .send()
        .await
        .map_err(|error| unreachable(chain(&error.without_url())))?;
    let status = response.status().as_u16();
    let body = limited(response, 8 << 20).await.map_err(unreachable)?;
    if status != 200 {
        let cause = Said::new(status, &body).text;
        return Err(RegistryError::Refused {
            method: "Get",
            url: url.to_string(),
            status,
            cause,
        });
    }
    let results: Results =
        serde_json::from_slice(&body).map_err(|error| RegistryError::Rubbish {
            host: host.into(),
            what: format!("its search results: {error}"),
        })?;
    Ok(results.results)
}
