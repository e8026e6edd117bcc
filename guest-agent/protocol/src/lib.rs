//! What is said between host and guest: the Docker Engine API's documents, Proa's own, stream framing.

/// The Docker Engine API's documents as its specification generates them.
pub use bollard_stubs::models;
