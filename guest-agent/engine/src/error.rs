//! The engine's error: what kind of refusal it is, and the words a client sees.
//!
//! Docker's clients match on some of these words, so those are kept exactly (and tested); the chain of sources says
//! what the system said.

use std::{error::Error as StdError, fmt};

/// The result of an engine verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of refusal it is. The API maps each to a status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The object named does not exist.
    NotFound,
    /// The object is in a state in which this cannot be done, or a name is taken.
    Conflict,
    /// The request itself is wrong.
    BadParameter,
    /// Nothing to do: it is already so.
    NotModified,
    /// Not allowed for this object.
    Forbidden,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Something needed is not there at the moment.
    Unavailable,
    /// This engine does not do that.
    NotImplemented,
    /// The system let us down; nothing the client could have said differently.
    Internal,
}

/// A refusal or a failure of an engine verb.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with these words.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same with what caused it.
    #[must_use]
    pub fn with(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of refusal it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The whole chain in one line, as a client reads it.
    pub fn told(&self) -> String {
        let mut text = self.message.clone();
        let mut next = self.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(Kind::BadParameter, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<proa_images::Error> for Error {
    fn from(error: proa_images::Error) -> Self {
        use proa_images::Kind as Cause;
        let kind = match error.kind() {
            Cause::NotFound => Kind::NotFound,
            Cause::Conflict => Kind::Conflict,
            Cause::BadParameter => Kind::BadParameter,
            Cause::Forbidden => Kind::Forbidden,
            Cause::Unauthorized => Kind::Unauthorized,
            Cause::Unavailable | Cause::Internal => Kind::Internal,
        };
        let message = error.to_string();
        match StdError::source(&error).map(told) {
            Some(causes) => Error::new(kind, format!("{message}: {causes}")),
            None => Error::new(kind, message),
        }
    }
}

/// An error and its causes in one line.
fn told(error: &(dyn StdError + 'static)) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", told(cause)),
        None => error.to_string(),
    }
}

/// Says what was attempted when the system refuses.
pub(crate) trait Context<T> {
    /// Turns the failure into an [`Kind::Internal`] error that opens with `attempt`.
    fn context(self, attempt: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, attempt: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::internal(attempt()).with(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_told_in_one_line() {
        let error = Error::internal("mount /data").with(std::io::Error::from_raw_os_error(2));
        assert_eq!(
            error.told(),
            "mount /data: No such file or directory (os error 2)"
        );
    }
}
