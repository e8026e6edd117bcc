//! Docker's contexts: named endpoints under `~/.docker/contexts`, one of which may be the current one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::endpoint::{Endpoint, FindError, Surroundings, TlsFiles};

#[derive(Deserialize)]
struct Settings {
    #[serde(rename = "currentContext")]
    current: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    endpoints: std::collections::BTreeMap<String, MetaEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetaEndpoint {
    host: Option<String>,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// The endpoint of the chosen context; none when no context or the one called `default` is chosen.
pub(crate) fn current(around: &Surroundings) -> Result<Option<Endpoint>, FindError> {
    let (name, by) = match &around.docker_context {
        Some(name) => (name.clone(), "DOCKER_CONTEXT"),
        None => match chosen_in(&around.docker_folder) {
            Some(name) => (name, "Docker's settings"),
            None => return Ok(None),
        },
    };
    if name == "default" {
        return Ok(None);
    }
    let missing = || FindError::NoContext {
        name: name.clone(),
        by,
    };
    let key = hex(&Sha256::digest(name.as_bytes()));
    let folder = around.docker_folder.join("contexts");
    let meta = read::<Meta>(&meta_file(&around.docker_folder, &name)).ok_or_else(missing)?;
    let docker = meta.endpoints.get("docker").ok_or_else(missing)?;
    let host = docker
        .host
        .as_deref()
        .filter(|host| !host.is_empty())
        .ok_or_else(missing)?;
    let endpoint = Endpoint::parse(host, around)?;
    let certificates = folder.join("tls").join(&key).join("docker");
    Ok(Some(match endpoint {
        Endpoint::Tcp { address, .. } if certificates.exists() => Endpoint::Tcp {
            address,
            tls: Some(TlsFiles {
                folder: certificates,
                verify: !docker.skip_tls_verify,
            }),
        },
        other => other,
    }))
}

/// Where Docker keeps what a context is.
pub(crate) fn meta_file(docker_folder: &Path, name: &str) -> PathBuf {
    let key = hex(&Sha256::digest(name.as_bytes()));
    let folder = docker_folder.join("contexts/meta").join(key);
    folder.join("meta.json")
}

fn chosen_in(docker_folder: &Path) -> Option<String> {
    read::<Settings>(&docker_folder.join("config.json"))?
        .current
        .filter(|name| !name.is_empty())
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_context_names_the_endpoint() {
        let folder = std::env::temp_dir().join(format!("proa-contexts-{}", std::process::id()));
        let key = hex(&Sha256::digest(b"far"));
        let meta = folder.join("contexts/meta").join(key);
        std::fs::create_dir_all(&meta).expect("scratch folder");
        std::fs::write(folder.join("config.json"), r#"{"currentContext":"far"}"#)
            .expect("settings");
        let text = r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://me@far","SkipTLSVerify":false}}}"#;
        std::fs::write(meta.join("meta.json"), text).expect("context");

        let mut around = Surroundings {
            docker_folder: folder.clone(),
            ..Surroundings::default()
        };
        let found = current(&around).expect("it is there");
        assert_eq!(
            found.map(|endpoint| endpoint.to_string()).as_deref(),
            Some("ssh://me@far")
        );

        around.docker_context = Some("near".into());
        assert!(matches!(current(&around), Err(FindError::NoContext { .. })));
        around.docker_context = Some("default".into());
        assert!(matches!(current(&around), Ok(None)));
        std::fs::remove_dir_all(folder).expect("clean up");
    }
}
