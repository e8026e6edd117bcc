//! Who the user is at a registry: Docker's settings file and its credential programs.
//!
//! The same file and the same programs as Docker's command line uses, so that a login made with either holds for both.

mod program;
mod settings;

use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::Serialize;

pub use settings::Settings;

/// The key of Docker Hub in the settings file, which is older than registries' host names.
pub const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A name and a secret at one registry, or the token that stands for both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Credentials {
    /// The user's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The password, or an access token used like one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// A token that replaces name and password.
    #[serde(rename = "identitytoken", skip_serializing_if = "String::is_empty")]
    pub identity_token: String,
    /// The registry.
    #[serde(rename = "serveraddress", skip_serializing_if = "String::is_empty")]
    pub server_address: String,
}

/// Why credentials cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The settings file.
    #[error("{verb} {path}")]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The settings file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The settings file is not JSON.
    #[error("understand {path}")]
    Garbled {
        /// The settings file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A credential program cannot be run.
    #[error("run {program}")]
    Program {
        /// Its name.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A credential program says no.
    #[error("{program} {verb} failed: {message}")]
    Refused {
        /// Its name.
        program: String,
        /// What it was asked for.
        verb: &'static str,
        /// Its words.
        message: String,
    },
}

impl Credentials {
    /// The `X-Registry-Auth` header.
    pub fn header(&self) -> String {
        // A struct of texts always serialises.
        URL_SAFE.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decoded(auth: &str) -> Option<(String, String)> {
        let text = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
        let (name, secret) = text.split_once(':')?;
        Some((name.to_owned(), secret.trim_matches('\0').to_owned()))
    }

    fn encoded(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.username, self.password))
    }
}

/// The settings file's key for the registry that an image name points to.
pub fn server_of_image(image: &str) -> String {
    let domain = match image.split_once('/') {
        Some((domain, _))
            if domain.contains(['.', ':'])
                || domain == "localhost"
                || domain != domain.to_lowercase() =>
        {
            domain
        }
        _ => "docker.io",
    };
    server_of_registry(domain)
}

/// The settings file's key for a registry as a user types it.
pub fn server_of_registry(registry: &str) -> String {
    match registry.trim_end_matches('/') {
        ""
        | "docker.io"
        | "index.docker.io"
        | "registry-1.docker.io"
        | "https://index.docker.io/v1" => DOCKER_HUB.to_owned(),
        other => host_of(other).to_owned(),
    }
}

fn host_of(address: &str) -> &str {
    let bare = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))
        .unwrap_or(address);
    bare.split('/').next().unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_images_registry_is_its_first_part_if_that_is_a_host() {
        for (image, server) in [
            ("alpine", DOCKER_HUB),
            ("me/app:1", DOCKER_HUB),
            ("docker.io/library/alpine", DOCKER_HUB),
            ("localhost/x", "localhost"),
            ("localhost:5000/x", "localhost:5000"),
            ("ghcr.io/a/b@sha256:0", "ghcr.io"),
        ] {
            assert_eq!(server_of_image(image), server, "{image}");
        }
        assert_eq!(server_of_registry("https://ghcr.io/v2/"), "ghcr.io");
    }

    #[test]
    fn the_header_is_url_safe_and_says_only_what_is_known() {
        let who = Credentials {
            username: "me".into(),
            password: "s?>".into(),
            ..Credentials::default()
        };
        let text = URL_SAFE.decode(who.header()).expect("base64");
        assert_eq!(text, br#"{"username":"me","password":"s?>"}"#);
        assert_eq!(
            Credentials::decoded(&who.encoded()),
            Some(("me".to_owned(), "s?>".to_owned()))
        );
    }
}
