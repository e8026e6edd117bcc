//! What is said between a client, the engine and the host: the Docker Engine API's documents, Proa's own
//! documents under `/proa/v1`, filters and queries, the framing of streams, progress lines.
//!
//! Pure data: functions from bytes to values and back. Nothing here reads a file, a clock or a socket.
//!
//! Each document exists twice. [`models`] are generated from the API's specification, with every field optional:
//! what the engine computes with. [`docker`] is how Docker's server words them on the wire. It is written in Go,
//! where every field has a zero value, an absent or `null` field of a request means that value, and an answer holds
//! `null`, `[]` or nothing in places that clients tell apart.
//!
//! Start at [`docker::container`].

#[macro_use]
mod document;

pub mod auth;
pub mod docker;
pub mod filters;
pub mod proa;
pub mod progress;
pub mod query;
pub mod shape;
pub mod stream;
pub mod timestamp;
pub mod tunnel;
pub mod xray;

/// The Docker Engine API's documents as its specification generates them.
pub use bollard_stubs::models;
pub use docker::*;
pub use filters::{BadFilter, Filters};
pub use query::{BadQuery, Query};

/// The version of the Docker Engine API that we speak.
pub const API_VERSION: ApiVersion = ApiVersion(53);
/// The oldest version that a client may ask for.
pub const MIN_API_VERSION: ApiVersion = ApiVersion(24);

/// A version of the Docker Engine API: the `NN` of `1.NN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(pub u16);

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// Bytes as base64, in the usual alphabet, padded.
pub fn to_base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
