//! The registry client: the distribution protocol over HTTP.
//!
//! A [`Session`] speaks to one repository on one registry (or a mirror of it) with one set of credentials. It asks
//! without credentials first, answers the challenge, and remembers the token. Blobs come as one unbroken stream
//! however often the connection breaks.

mod auth;
mod blob;
mod endpoint;
mod error;
mod hub;
mod manifest;
mod session;
mod tls;
mod upload;

pub use auth::Login;
pub(crate) use auth::login;
pub(crate) use blob::Sink;
pub(crate) use endpoint::Endpoints;
pub use error::RegistryError;
pub use hub::SearchResult;
pub(crate) use hub::search;
pub(crate) use manifest::{Chosen, Document, choose, read_document};
pub(crate) use session::Session;
pub(crate) use upload::{Sent, Upload};

/// User name and password, or a token in their place.
#[derive(Clone, Default, PartialEq, Eq)]
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

/// Secrets stay out of logs.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
