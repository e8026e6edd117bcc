//! `login`: to a registry.

use std::io::Read;

use clap::Args;
use proa_host::Request;
use proa_host::credentials::{Credentials, Settings, server_of_registry};
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::terminal::{self, prompt};
use crate::verb::Act;

/// Flags of `login`.
#[derive(Args, Debug)]
pub(crate) struct Login {
    /// Password or access token
    #[arg(short, long)]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// User name
    #[arg(short, long)]
    username: Option<String>,
    server: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Granted {
    status: String,
    identity_token: String,
}

impl Act for Login {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let server = server_of_registry(self.server.as_deref().unwrap_or_default());
        let mut settings = Settings::load()?;
        let mut credentials = self.credentials(&server, &settings)?;
        let granted: Granted = session
            .engine()?
            .ask(Request::post(&["auth"]).json(&credentials))
            .await?;
        if !granted.identity_token.is_empty() {
            credentials.password = String::new();
            credentials.identity_token = granted.identity_token;
        }
        if let Some(file) = settings.keeps_in_the_clear(&server) {
            eprintln!(
                "WARNING: the password is stored unencrypted in {}; a credential helper would keep it safe",
                file.display()
            );
        }
        settings.store(&credentials)?;
        output::line(if granted.status.is_empty() {
            "Login Succeeded"
        } else {
            &granted.status
        })?;
        Ok(Exit::OK)
    }
}

impl Login {
    /// From flags, from what is kept, and from the user.
    fn credentials(&self, server: &str, settings: &Settings) -> Result<Credentials, Failure> {
        if self.password_stdin && (self.password.is_some() || self.username.is_none()) {
            return Err(Failure::usage(
                "--password-stdin needs --username, and excludes --password",
            ));
        }
        if self.password.is_some() {
            eprintln!(
                "WARNING: a password on the command line can be seen by others on this machine; use --password-stdin"
            );
        }
        if self.username.is_none()
            && self.password.is_none()
            && let Some(kept) = settings.find(server)?
        {
            eprintln!("Authenticating with existing credentials...");
            return Ok(kept);
        }
        let may_ask = terminal::stdin_is_one();
        let missing = || {
            Failure::usage(
                "cannot ask for user name and password without a terminal: use --username and --password-stdin",
            )
        };
        let username = match &self.username {
            Some(username) => username.clone(),
            None if may_ask => prompt::ask("Username: ")?,
            None => return Err(missing()),
        };
        let password = match &self.password {
            Some(password) => password.clone(),
            None if self.password_stdin => piped_password()?,
            None if may_ask => prompt::ask_secret("Password: ")?,
            None => return Err(missing()),
        };
        Ok(Credentials {
            username,
            password,
            server_address: server.to_owned(),
            ..Credentials::default()
        })
    }
}

fn piped_password() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|source| Failure::io("read the password from standard input", source))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
