//! The registry client: the distribution protocol over HTTP.

use crate::error::Kind;

/// User name and password, or a token in their place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
    /// A refresh token (`docker login` got it from the registry's token server).
    pub identity_token: String,
    /// A ready bearer token.
    pub registry_token: String,
}

/// What a registry said, or did not.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Not there.
    #[error("{0}")]
    NotFound(String),
}

impl RegistryError {
    /// What the failure means to the one who asked.
    pub fn kind(&self) -> Kind {
        Kind::NotFound
    }
}
