//! `logout`: from a registry.

use clap::Args;
use proa_host::credentials::{Settings, server_of_registry};

use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `logout`.
#[derive(Args, Debug)]
pub(crate) struct Logout {
    server: Option<String>,
}

impl Act for Logout {
    async fn act(self, _session: &Session) -> Result<Exit, Failure> {
        let server = server_of_registry(self.server.as_deref().unwrap_or_default());
        let known = Settings::load()?.erase(&server)?;
        output::line(&if known {
            format!("Removing login credentials for {server}")
        } else {
            format!("Not logged in to {server}")
        })?;
        Ok(Exit::OK)
    }
}
