//! What can go wrong between a face and the engine.

use std::io;

/// Why the engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody answers there.
    #[error("cannot reach the engine at {endpoint}")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The engine answered, and said no.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The engine's own words.
        message: String,
    },
    /// The conversation broke off.
    #[error("talk to the engine about {about}")]
    Broken {
        /// The request, as `METHOD /path`.
        about: String,
        /// What hyper said.
        source: hyper::Error,
    },
    /// The answer is not the document that was expected.
    #[error("understand the engine's answer to {about}")]
    Garbled {
        /// The request, as `METHOD /path`.
        about: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The request could not be written down (a name that no path can hold).
    #[error("put together the request {about}")]
    Unspeakable {
        /// The request, as `METHOD /path`.
        about: String,
        /// What the HTTP library objects to.
        source: hyper::http::Error,
    },
    /// The engine does not hand the connection over.
    #[error("the engine does not open a stream for {about}: it answered with status {status}")]
    NotUpgraded {
        /// The request, as `METHOD /path`.
        about: String,
        /// The HTTP status.
        status: u16,
    },
}

/// An error and its causes on one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.ends_with(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}

impl EngineError {
    /// Whether the engine says that what was named does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, EngineError::Refused { status: 404, .. })
    }
}
