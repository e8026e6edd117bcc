//! The product on the host: finding an engine, talking to it, and what a user keeps beside it (credentials).
//!
//! [`Endpoint::find`] says where the engine is, [`Engine`] talks to it: a [`Request`] becomes an [`Answer`] (a
//! document, a stream of documents, bytes) or a [`Hijacked`] stream. Every face of the product goes through here.
//!
//! The HTTP client is hyper itself: a command line must reach the container within a millisecond, so connections
//! are opened when they are needed, kept, and nothing is asked for that the verb did not name.
//!
//! Does not know: flags, terminals, what a screen looks like.
//!
//! Start at [`Engine::at`].

mod contexts;
pub mod credentials;
#[cfg(target_os = "linux")]
pub mod device;
mod endpoint;
mod engine;
mod error;
pub mod machine;
pub mod native;

pub use endpoint::{Endpoint, FindError, TlsFiles};
pub use engine::{Answer, Engine, Hijacked, Lines, Method, Request, Upload};
pub use error::EngineError;
