//! `docker-credential-*` programs: one request on standard input, one answer on standard output.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::{Credentials, CredentialsError};

/// The name that a program gives when the secret is an identity token.
const TOKEN: &str = "<token>";

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(rename = "ServerURL")]
    server: String,
    username: String,
    secret: String,
}

/// A credential program, by the name the settings give it.
pub(super) struct Program(String);

impl Program {
    pub(super) fn named(name: &str) -> Self {
        Self(format!("docker-credential-{name}"))
    }

    /// What the program knows of a server.
    pub(super) fn find(&self, server: &str) -> Result<Option<Credentials>, CredentialsError> {
        let answer = match self.ask("get", server.as_bytes()) {
            Err(CredentialsError::Refused { message, .. })
                if message.contains("credentials not found") =>
            {
                return Ok(None);
            }
            other => other?,
        };
        let entry: Entry = serde_json::from_slice(&answer)
            .map_err(|error| self.refused("get", error.to_string()))?;
        let server_address = server.to_owned();
        Ok(Some(if entry.username == TOKEN {
            Credentials {
                identity_token: entry.secret,
                server_address,
                ..Credentials::default()
            }
        } else {
            Credentials {
                username: entry.username,
                password: entry.secret,
                server_address,
                ..Credentials::default()
            }
        }))
    }

    /// Keeps credentials.
    pub(super) fn store(&self, credentials: &Credentials) -> Result<(), CredentialsError> {
        let (username, secret) = match credentials.identity_token.as_str() {
            "" => (credentials.username.clone(), credentials.password.clone()),
            token => (TOKEN.to_owned(), token.to_owned()),
        };
        let entry = Entry {
            server: credentials.server_address.clone(),
            username,
            secret,
        };
        // A struct of texts always serialises.
        self.ask("store", &serde_json::to_vec(&entry).unwrap_or_default())
            .map(drop)
    }

    /// Forgets a server.
    pub(super) fn erase(&self, server: &str) -> Result<(), CredentialsError> {
        match self.ask("erase", server.as_bytes()) {
            Err(CredentialsError::Refused { message, .. })
                if message.contains("credentials not found") =>
            {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    fn ask(&self, verb: &'static str, input: &[u8]) -> Result<Vec<u8>, CredentialsError> {
        let failed = |source| CredentialsError::Program {
            program: self.0.clone(),
            source,
        };
        let mut child = Command::new(&self.0)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input) {
                // One that knows its answer need not read.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                written => written.map_err(failed)?,
            }
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        // These programs tell errors on standard output.
        Err(self.refused(
            verb,
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        ))
    }

    fn refused(&self, verb: &'static str, message: String) -> CredentialsError {
        CredentialsError::Refused {
            program: self.0.clone(),
            verb,
            message,
        }
    }
}
