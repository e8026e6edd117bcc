//! One repository on one registry: requests with authentication, redirects and retries.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Request, Response, Url};
use tokio::sync::Mutex;

use super::auth::{Challenge, answer};
use super::endpoint::{Access, chain};
use super::error::Said;
use super::{Credentials, RegistryError};
use crate::reference::Reference;

/// Most redirects followed for one request.
const MAX_REDIRECTS: usize = 10;
/// Tries of a request that fails for a passing reason.
const TRIES: u32 = 5;

/// Requests about one repository.
pub(crate) struct Session {
    pub(crate) access: Access,
    pub(crate) reference: Reference,
    credentials: Option<Credentials>,
    /// `pull` or `pull,push`
    actions: &'static str,
    /// Scopes beside the repository's own (the source of a mount).
    more_scopes: Vec<String>,
    authorization: Mutex<Option<HeaderValue>>,
}

impl Session {
    pub(crate) fn new(
        access: Access,
        reference: Reference,
        credentials: Option<&Credentials>,
        actions: &'static str,
    ) -> Self {
        let credentials = credentials.filter(|_| !access.mirror).cloned();
        Self {
            access,
            reference,
            credentials,
            actions,
            more_scopes: Vec::new(),
            authorization: Mutex::new(None),
        }
    }

    /// Also asks for the right to pull from another repository, to mount blobs from it.
    pub(crate) fn also_from(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        self.more_scopes = paths
            .into_iter()
            .map(|path| format!("repository:{path}:pull"))
            .collect();
        self
    }

    /// `/v2/<repository>/<rest>`
    pub(crate) fn url(&self, rest: &str) -> Result<Url, RegistryError> {
        self.access
            .url(&format!("{}/{rest}", self.reference.path()))
    }

    fn scope(&self) -> String {
        let own = format!("repository:{}:{}", self.reference.path(), self.actions);
        std::iter::once(&own)
            .chain(&self.more_scopes)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// A request without a body that is tried again when it fails for a passing reason.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: Url,
        headers: &HeaderMap,
    ) -> Result<Response, RegistryError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut request = Request::new(method.clone(), url.clone());
            *request.headers_mut() = headers.clone();
            match self.send(request).await {
                Err(error) if error.is_temporary() && attempt < TRIES => {
                    tracing::debug!(%error, attempt, "the registry's answer failed, trying again");
                    tokio::time::sleep(back_off(attempt)).await;
                }
                other => return other,
            }
        }
    }

    /// One request, authenticated if the registry asks for it. An answer that is no success is an error.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, RegistryError> {
        let spare = request.try_clone();
        let known = self.authorization.lock().await.clone();
        let response = self.follow(request, known.as_ref()).await?;
        if response.status().as_u16() != 401 {
            return success(response).await;
        }
        let (Some(challenge), Some(spare)) = (Challenge::of(response.headers()), spare) else {
            return success(response).await;
        };
        let fresh = self.authorize(&challenge, known.as_ref()).await?;
        success(self.follow(spare, Some(&fresh)).await?).await
    }

    /// A new token, unless another request got one meanwhile.
    async fn authorize(
        &self,
        challenge: &Challenge,
        stale: Option<&HeaderValue>,
    ) -> Result<HeaderValue, RegistryError> {
        let mut current = self.authorization.lock().await;
        if let Some(now) = current.as_ref().filter(|now| Some(*now) != stale) {
            return Ok(now.clone());
        }
        let text = answer(
            &self.access.client,
            challenge,
            &self.scope(),
            self.credentials.as_ref(),
        )
        .await?;
        let mut value = HeaderValue::try_from(text).map_err(|_| RegistryError::Rubbish {
            host: self.access.host(),
            what: "its token is not text".into(),
        })?;
        value.set_sensitive(true);
        *current = Some(value.clone());
        Ok(value)
    }

    /// Sends a request and follows redirects; only the registry itself sees our authorization.
    async fn follow(
        &self,
        mut request: Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        for _ in 0..MAX_REDIRECTS {
            if request.url().origin() == self.access.base.origin() {
                if let Some(value) = authorization {
                    request.headers_mut().insert(AUTHORIZATION, value.clone());
                }
            } else {
                request.headers_mut().remove(AUTHORIZATION);
            }
            let next = request.try_clone();
            let (method, url) = (request.method().clone(), request.url().clone());
            let response = self
                .access
                .client
                .execute(request)
                .await
                .map_err(|error| unreachable(&method, &url, error))?;
            let asks_safely = method == Method::GET || method == Method::HEAD;
            let location = response
                .headers()
                .get(LOCATION)
                .filter(|_| response.status().is_redirection() && asks_safely);
            let (Some(location), Some(mut next)) = (location, next) else {
                return Ok(response);
            };
            let to = location.to_str().ok().and_then(|to| url.join(to).ok());
            *next.url_mut() = to.ok_or_else(|| self.rubbish("it redirects to nowhere"))?;
            request = next;
        }
        Err(self.rubbish("too many redirects"))
    }

    pub(crate) fn rubbish(&self, what: impl Into<String>) -> RegistryError {
        RegistryError::Rubbish {
            host: self.access.host(),
            what: what.into(),
        }
    }
}

/// How long to wait before another try.
pub(crate) fn back_off(attempt: u32) -> Duration {
    Duration::from_millis(50 << attempt.min(6))
}

fn unreachable(method: &Method, url: &Url, error: reqwest::Error) -> RegistryError {
    RegistryError::Unreachable {
        method: verb(method),
        url: url.to_string(),
        cause: chain(&error.without_url()),
    }
}

fn verb(method: &Method) -> &'static str {
    match method.as_str() {
        "HEAD" => "Head",
        "PUT" => "Put",
        "POST" => "Post",
        "PATCH" => "Patch",
        _ => "Get",
    }
}

async fn success(response: Response) -> Result<Response, RegistryError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let url = response.url().to_string();
    let body = limited(response, 64 << 10).await.unwrap_or_default();
    let said = Said::new(status.as_u16(), &body);
    Err(match status.as_u16() {
        401 => RegistryError::Unauthorized(said.text),
        403 => RegistryError::Denied(said.text),
        404 if said.has("NAME_UNKNOWN") => RegistryError::NoRepository {
            reference: String::new(),
            cause: said.text,
        },
        404 if said.has("MANIFEST_UNKNOWN") => RegistryError::NoManifest {
            reference: String::new(),
            cause: said.text,
        },
        status => RegistryError::Refused {
            method: "Request",
            url,
            status,
            cause: said.text,
        },
    })
}

/// A body of at most `most` bytes.
pub(crate) async fn limited(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| chain(&error.without_url()))?
    {
        if body.len() + chunk.len() > most {
            return Err(format!("more than {most} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
