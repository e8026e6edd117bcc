//! Where a registry is spoken to: host, scheme, mirrors, and the HTTP client for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::{Client, Url, redirect};

use super::{RegistryError, tls};
use crate::reference::DEFAULT_DOMAIN;
use crate::store::Settings;

/// One place that serves a repository.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) client: Client,
    /// `https://registry-1.docker.io/`, ends with a slash.
    pub(crate) base: Url,
    /// A mirror gets no credentials.
    pub(crate) mirror: bool,
}

impl Access {
    pub(crate) fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// `<base>v2/<path>`
    pub(crate) fn url(&self, path: &str) -> Result<Url, RegistryError> {
        self.base
            .join(&format!("v2/{path}"))
            .map_err(|error| self.setup(error))
    }

    fn setup(&self, cause: impl ToString) -> RegistryError {
        RegistryError::Setup {
            host: self.host(),
            cause: cause.to_string(),
        }
    }
}

/// Knows how each registry is reached; remembers which insecure ones speak plain HTTP.
#[derive(Default)]
pub(crate) struct Endpoints {
    plain: Mutex<HashMap<String, bool>>,
}

impl Endpoints {
    /// The places that serve a domain, to be tried in order.
    pub(crate) async fn of(
        &self,
        settings: &Settings,
        domain: &str,
        pull: bool,
    ) -> Result<Vec<Access>, RegistryError> {
        if domain != DEFAULT_DOMAIN {
            return Ok(vec![self.registry(settings, domain).await?]);
        }
        let mut all = Vec::new();
        for mirror in settings.mirrors.iter().filter(|_| pull) {
            match self.mirror(settings, mirror) {
                Ok(access) => all.push(access),
                Err(error) => tracing::warn!(%mirror, %error, "this mirror cannot be used"),
            }
        }
        all.push(self.registry(settings, "registry-1.docker.io").await?);
        Ok(all)
    }

    fn mirror(&self, settings: &Settings, mirror: &str) -> Result<Access, RegistryError> {
        let setup = |cause: String| RegistryError::Setup {
            host: mirror.into(),
            cause,
        };
        let mut base = Url::parse(mirror).map_err(|error| setup(error.to_string()))?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let name = base.host_str().unwrap_or_default();
        let host = match base.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        let insecure = is_insecure(&settings.insecure, &host);
        Ok(Access {
            client: client(settings, &host, insecure)?,
            base,
            mirror: true,
        })
    }

    async fn registry(&self, settings: &Settings, host: &str) -> Result<Access, RegistryError> {
        let insecure = is_insecure(&settings.insecure, host);
        let client = client(settings, host, insecure)?;
        let base = |scheme: &str| {
            let setup = |error: &dyn ToString| RegistryError::Setup {
                host: host.into(),
                cause: error.to_string(),
            };
            Url::parse(&format!("{scheme}://{host}/")).map_err(|error| setup(&error))
        };
        let plain = insecure && self.speaks_plain(&client, host).await;
        Ok(Access {
            client,
            base: base(if plain { "http" } else { "https" })?,
            mirror: false,
        })
    }

    /// Whether an insecure registry lacks TLS: it is tried first.
    async fn speaks_plain(&self, client: &Client, host: &str) -> bool {
        let known = self
            .plain
            .lock()
            .ok()
            .and_then(|plain| plain.get(host).copied());
        if let Some(plain) = known {
            return plain;
        }
        let tls = client
            .get(format!("https://{host}/v2/"))
            .timeout(Duration::from_secs(5))
            .send()
            .await;
        if tls.is_err()
            && client
                .get(format!("http://{host}/v2/"))
                .timeout(Duration::from_secs(5))
                .send()
                .await
                .is_err()
        {
            // Neither answers; the request itself will say why. Not remembered.
            return true;
        }
        if let Ok(mut plain) = self.plain.lock() {
            plain.insert(host.into(), tls.is_err());
        }
        tls.is_err()
    }
}

fn client(settings: &Settings, host: &str, insecure: bool) -> Result<Client, RegistryError> {
    let setup = |cause: String| RegistryError::Setup {
        host: host.into(),
        cause,
    };
    let tls = tls::config(&settings.certificates, host, insecure).map_err(setup)?;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("proa/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // Several connections carry more than several streams of one.
        .http1_only()
        .connect_timeout(settings.stall.min(Duration::from_secs(15)))
        .read_timeout(settings.stall)
        .pool_idle_timeout(Duration::from_secs(5));
    if is_loopback(host) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| setup(chain(&error)))
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let line = error.to_string();
        if !text.ends_with(&line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&line);
        }
        next = error.source();
    }
    text
}

fn bare(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.split(':').next().unwrap_or(host)
}

fn is_loopback(host: &str) -> bool {
    let host = bare(host);
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Loopback, or listed by host, by host and port, or by an address range that holds it.
fn is_insecure(listed: &[String], host: &str) -> bool {
    let address = bare(host).parse::<IpAddr>().ok();
    is_loopback(host)
        || listed.iter().any(|entry| {
            entry == host
                || entry == bare(host)
                || address.is_some_and(|address| in_range(entry, address))
        })
}

fn in_range(range: &str, address: IpAddr) -> bool {
    let Some((network, bits)) = range.split_once('/') else {
        return false;
    };
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    let wide = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    };
    let same_kind = network.is_ipv4() == address.is_ipv4();
    same_kind
        && (bits == 0
            || (wide(network) ^ wide(address)).checked_shr(128 - bits.min(128)) == Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_insecure() {
        let listed = [
            "reg.local:5000".to_owned(),
            "10.1.0.0/16".to_owned(),
            "plain.example".to_owned(),
        ];
        let check = |host: &str, want: bool| assert_eq!(is_insecure(&listed, host), want, "{host}");
        check("localhost", true);
        check("localhost:5000", true);
        check("127.3.2.1:80", true);
        check("[::1]:5000", true);
        check("reg.local:5000", true);
        check("reg.local:5001", false);
        check("plain.example:1", true);
        check("10.1.2.3:5000", true);
        check("10.2.2.3:5000", false);
        check("docker.io", false);
        check("localhost.evil.example", false);
    }
}
