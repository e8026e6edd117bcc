//! `~/.docker/config.json`: read for credentials, changed by login and logout, everything else in it left alone.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::program::Program;
use super::{Credentials, CredentialsError, host_of};
use crate::endpoint::docker_folder;

/// The settings file's text, and where it is.
#[derive(Debug)]
pub struct Settings {
    path: PathBuf,
    document: Map<String, Value>,
}

impl Settings {
    /// Reads the user's settings; no file is an empty one.
    pub fn load() -> Result<Self, CredentialsError> {
        Self::load_from(docker_folder().join("config.json"))
    }

    fn load_from(path: PathBuf) -> Result<Self, CredentialsError> {
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => b"{}".to_vec(),
            other => other.map_err(|source| CredentialsError::File {
                verb: "read",
                path: path.clone(),
                source,
            })?,
        };
        match serde_json::from_slice(&text) {
            Ok(document) => Ok(Self { path, document }),
            Err(source) => Err(CredentialsError::Garbled { path, source }),
        }
    }

    /// The keys that detach from a container, if the user chose others.
    pub fn detach_keys(&self) -> Option<&str> {
        self.document.get("detachKeys")?.as_str()
    }

    /// The credentials kept for a server.
    pub fn find(&self, server: &str) -> Result<Option<Credentials>, CredentialsError> {
        match self.program(server) {
            Some(program) => program.find(server),
            None => Ok(self.in_file(server)),
        }
    }

    /// Keeps credentials; says where.
    pub fn store(&mut self, credentials: &Credentials) -> Result<(), CredentialsError> {
        let server = credentials.server_address.clone();
        let entry = match self.program(&server) {
            Some(program) => {
                program.store(credentials)?;
                json!({})
            }
            None if credentials.identity_token.is_empty() => json!({"auth": credentials.encoded()}),
            None => {
                json!({"auth": credentials.encoded(), "identitytoken": credentials.identity_token})
            }
        };
        let auths = self.document.entry("auths").or_insert_with(|| json!({}));
        if let Value::Object(auths) = auths {
            auths.insert(server, entry);
        }
        self.save()
    }

    /// Forgets a server; says whether it was known.
    pub fn erase(&mut self, server: &str) -> Result<bool, CredentialsError> {
        if let Some(program) = self.program(server) {
            program.erase(server)?;
        }
        let auths = self
            .document
            .get_mut("auths")
            .and_then(Value::as_object_mut);
        let Some(key) = auths.as_ref().and_then(|auths| key_of(auths, server)) else {
            return Ok(false);
        };
        if let Some(auths) = auths {
            auths.remove(&key);
        }
        self.save()?;
        Ok(true)
    }

    /// Where a password would be kept, when that is the file itself and thus in the clear.
    pub fn keeps_in_the_clear(&self, server: &str) -> Option<&Path> {
        self.program(server)
            .is_none()
            .then_some(self.path.as_path())
    }

    fn program(&self, server: &str) -> Option<Program> {
        let own = self
            .document
            .get("credHelpers")
            .and_then(|helpers| helpers.get(server));
        let name = own.or_else(|| self.document.get("credsStore"))?.as_str()?;
        (!name.is_empty()).then(|| Program::named(name))
    }

    fn in_file(&self, server: &str) -> Option<Credentials> {
        let auths = self.document.get("auths")?.as_object()?;
        let entry = auths.get(&key_of(auths, server)?)?;
        let text = |field: &str| {
            entry
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (username, password) =
            Credentials::decoded(&text("auth")).unwrap_or((text("username"), text("password")));
        let found = Credentials {
            username,
            password,
            identity_token: text("identitytoken"),
            server_address: server.to_owned(),
        };
        (!found.username.is_empty() || !found.identity_token.is_empty()).then_some(found)
    }

    /// Writes a new file beside the old one and puts it in its place; a symbolic link stays one.
    fn save(&self) -> Result<(), CredentialsError> {
        let path = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        write_privately(&path, &self.document).map_err(|source| CredentialsError::File {
            verb: "write",
            path,
            source,
        })
    }
}

/// The key under which a server is kept: itself, or an older form with scheme and path.
fn key_of(auths: &Map<String, Value>, server: &str) -> Option<String> {
    if auths.contains_key(server) {
        return Some(server.to_owned());
    }
    auths
        .keys()
        .find(|key| host_of(key) == host_of(server))
        .cloned()
}

fn write_privately(path: &Path, document: &Map<String, Value>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(format!("json.{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    serde::Serialize::serialize(
        document,
        &mut serde_json::Serializer::with_formatter(&mut text, formatter),
    )?;
    file.write_all(&text)
        .and_then(|()| std::fs::rename(&draft, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(document: Value) -> Settings {
        let Value::Object(document) = document else {
            panic!("an object")
        };
        Settings {
            path: "/nowhere/config.json".into(),
            document,
        }
    }

    #[test]
    fn credentials_are_found_under_old_and_new_keys() {
        let auth = "bWU6c2VjcmV0";
        let known = settings(
            json!({"auths": {"https://ghcr.io/v2/": {"auth": auth}, "quay.io": {"identitytoken": "t"}}}),
        );
        let found = known
            .find("ghcr.io")
            .expect("no program is run")
            .expect("known");
        assert_eq!(
            (found.username.as_str(), found.password.as_str()),
            ("me", "secret")
        );
        assert_eq!(
            known
                .find("quay.io")
                .ok()
                .flatten()
                .map(|found| found.identity_token)
                .as_deref(),
            Some("t")
        );
        assert!(matches!(known.find("other.io"), Ok(None)));
    }

    #[test]
    fn login_and_logout_leave_the_rest_of_the_file_alone() {
        let folder = std::env::temp_dir().join(format!("proa-settings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("scratch folder");
        let path = folder.join("config.json");
        std::fs::write(&path, r#"{"currentContext":"x","auths":{}}"#).expect("settings");
        let who = Credentials {
            username: "me".into(),
            password: "p".into(),
            server_address: "h:5000".into(),
            ..Credentials::default()
        };

        Settings::load_from(path.clone())
            .and_then(|mut settings| settings.store(&who))
            .expect("kept");
        let again = Settings::load_from(path.clone()).expect("readable");
        assert_eq!(again.find("h:5000").ok().flatten(), Some(who));
        assert_eq!(again.document["currentContext"], "x");
        assert!(
            Settings::load_from(path.clone())
                .and_then(|mut settings| settings.erase("h:5000"))
                .expect("forgotten")
        );
        assert!(
            !Settings::load_from(path)
                .and_then(|mut settings| settings.erase("h:5000"))
                .expect("nothing to forget")
        );
        std::fs::remove_dir_all(folder).expect("clean up");
    }
}
