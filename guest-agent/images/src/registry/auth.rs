//! Who we are to a registry: challenges, tokens, basic authentication (distribution's `spec/auth`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;

use super::endpoint::{Access, Endpoints, chain};
use super::error::Said;
use super::{Credentials, RegistryError};
use crate::store::Settings;

/// What a registry wants to know us by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: String,
        scope: String,
    },
}

impl Challenge {
    /// The challenge of a 401 that we can answer best.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let all = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut basic = None;
        for text in all {
            let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
            if scheme.eq_ignore_ascii_case("bearer") {
                let find = |key: &str| parameter(rest, key).unwrap_or_default();
                return Some(Self::Bearer {
                    realm: find("realm"),
                    service: find("service"),
                    scope: find("scope"),
                });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
        }
        basic
    }
}

/// `key="value"` among others separated by commas; values may hold commas.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim().trim_start_matches(',').trim();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(wanted) {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
    None
}

/// The `Authorization` header that answers a challenge.
pub(crate) async fn answer(
    client: &Client,
    challenge: &Challenge,
    scope: &str,
    credentials: Option<&Credentials>,
) -> Result<String, RegistryError> {
    match challenge {
        Challenge::Basic => {
            let login = credentials.filter(|c| !c.username.is_empty());
            let login = login
                .ok_or_else(|| RegistryError::Unauthorized("no basic auth credentials".into()))?;
            Ok(basic(login))
        }
        Challenge::Bearer {
            realm,
            service,
            scope: asked,
        } => {
            if let Some(token) = credentials
                .map(|c| &c.registry_token)
                .filter(|t| !t.is_empty())
            {
                return Ok(format!("Bearer {token}"));
            }
            let scope = if scope.is_empty() { asked } else { scope };
            let token = token(client, realm, service, scope, credentials).await?;
            Ok(format!("Bearer {}", token.access()))
        }
    }
}

fn basic(credentials: &Credentials) -> String {
    format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{}", credentials.username, credentials.password))
    )
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    refresh_token: String,
}

impl Token {
    fn access(&self) -> &str {
        if self.token.is_empty() {
            &self.access_token
        } else {
            &self.token
        }
    }
}

async fn token(
    client: &Client,
    realm: &str,
    service: &str,
    scope: &str,
    credentials: Option<&Credentials>,
) -> Result<Token, RegistryError> {
    let rubbish = |what: String| RegistryError::Rubbish {
        host: realm.to_owned(),
        what,
    };
    let mut url = Url::parse(realm)
        .map_err(|error| rubbish(format!("its token server's address is bad: {error}")))?;
    let refresh = credentials.filter(|c| !c.identity_token.is_empty());
    let login = credentials.filter(|c| !c.username.is_empty());
    let request = match refresh {
        Some(credentials) => exchange(client, url, service, scope, credentials),
        None => {
            ask_for(&mut url, service, scope, login);
            let request = client.get(url);
            match login {
                Some(login) => request.header(AUTHORIZATION, basic(login)),
                None => request,
            }
        }
    };
    let unreachable = |cause| RegistryError::Unreachable {
        method: "Get",
        url: realm.into(),
        cause,
    };
    let response = request
        .send()
        .await
        .map_err(|error| unreachable(chain(&error.without_url())))?;
    let status = response.status().as_u16();
    let body = response
        .bytes()
        .await
        .map_err(|error| unreachable(chain(&error.without_url())))?;
    if status == 401 || status == 403 {
        let said = Said::new(status, &body);
        return Err(RegistryError::Unauthorized(said.text));
    }
    if status != 200 {
        let said = Said::new(status, &body);
        return Err(RegistryError::Refused {
            method: "Get",
            url: realm.into(),
            status,
            cause: said.text,
        });
    }
    let token: Token = serde_json::from_slice(&body)
        .map_err(|error| rubbish(format!("its token is malformed: {error}")))?;
    if token.access().is_empty() {
        Err(rubbish("its token server gave no token".into()))
    } else {
        Ok(token)
    }
}

/// The question to a token server, as its query.
fn ask_for(url: &mut Url, service: &str, scope: &str, login: Option<&Credentials>) {
    let mut query = url.query_pairs_mut();
    query.append_pair("service", service);
    for scope in scope.split(' ').filter(|scope| !scope.is_empty()) {
        query.append_pair("scope", scope);
    }
    if let Some(login) = login {
        query.append_pair("account", &login.username);
        query
            .append_pair("offline_token", "true")
            .append_pair("client_id", "proa");
    }
}

/// A refresh token for an access token (OAuth 2).
fn exchange(
    client: &Client,
    url: Url,
    service: &str,
    scope: &str,
    credentials: &Credentials,
) -> RequestBuilder {
    let mut form = url.clone();
    form.set_query(None);
    form.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("service", service)
        .append_pair("client_id", "proa")
        .append_pair("scope", scope)
        .append_pair("refresh_token", &credentials.identity_token);
    let body = form.query().unwrap_or_default().to_owned();
    client
        .post(url)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body)
}

/// What a login told us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// A refresh token to keep in place of the password; empty if the registry gives none.
    pub identity_token: String,
}

/// Checks credentials against a registry.
pub(crate) async fn login(
    endpoints: &Endpoints,
    settings: &Settings,
    domain: &str,
    credentials: &Credentials,
) -> Result<Login, RegistryError> {
    let all = endpoints.of(settings, domain, false).await?;
    let Some(Access { client, base, .. }) = all.into_iter().next_back() else {
        return Err(RegistryError::Setup {
            host: domain.into(),
            cause: "no such registry".into(),
        });
    };
    let url = base.join("v2/").map_err(|error| RegistryError::Setup {
        host: domain.into(),
        cause: error.to_string(),
    })?;
    let unreachable = |error: reqwest::Error| RegistryError::Unreachable {
        method: "Get",
        url: url.to_string(),
        cause: chain(&error.without_url()),
    };
    let response = client.get(url.clone()).send().await.map_err(unreachable)?;
    if response.status().is_success() {
        return Ok(Login {
            identity_token: String::new(),
        });
    }
    let challenge = Challenge::of(response.headers());
    let header = match &challenge {
        Some(Challenge::Bearer { realm, service, .. }) => {
            let token = token(&client, realm, service, "", Some(credentials)).await?;
            let identity_token = token.refresh_token.clone();
            return Ok(Login { identity_token });
        }
        Some(Challenge::Basic) => basic(credentials),
        None => {
            return Err(RegistryError::Rubbish {
                host: domain.into(),
                what: format!("status {}", response.status()),
            });
        }
    };
    let response = client
        .get(url.clone())
        .header(AUTHORIZATION, header)
        .send()
        .await
        .map_err(unreachable)?;
    let status = response.status();
    if status.is_success() {
        return Ok(Login {
            identity_token: String::new(),
        });
    }
    Err(RegistryError::Unauthorized(format!(
        "login attempt to {url} failed with status: {status}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges() {
        let challenge = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
            }
            Challenge::of(&headers)
        };
        let text = r#"Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push""#;
        let want = Challenge::Bearer {
            realm: "https://auth.example/token".into(),
            service: "reg".into(),
            scope: "repository:a/b:pull,push".into(),
        };
        assert_eq!(challenge(&["Basic realm=\"x\"", text]), Some(want));
        assert_eq!(challenge(&["basic realm=x"]), Some(Challenge::Basic));
        assert_eq!(challenge(&["Negotiate"]), None);
        assert_eq!(parameter("a=b, c=d", "c").as_deref(), Some("d"));
    }
}
