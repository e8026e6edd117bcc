//! Refusals on the wire: the engine's kinds of error and the status of each.

use std::error::Error as _;

use hyper::{Response, StatusCode};
use proa_engine::Kind;
use proa_protocol::{BadFilter, BadQuery, ErrorBody};

use super::answer;
use super::body::Body;

/// A refusal: a status and words for people.
#[derive(Debug)]
pub(crate) struct ApiError {
    /// The status.
    pub status: StatusCode,
    /// The words.
    pub message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// 400
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 500
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 404, as for a path that Docker does not have.
    pub(crate) fn no_such_page() -> Self {
        Self::new(StatusCode::NOT_FOUND, "page not found")
    }

    /// 501
    pub(crate) fn not_here(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            format!("{what} is not supported by this engine"),
        )
    }

    /// The answer that says so.
    pub(crate) fn response(self) -> Response<Body> {
        if self.status == StatusCode::NOT_MODIFIED {
            return answer::status(self.status).unwrap_or_else(|_| Response::new(Body::EMPTY));
        }
        let status = self.status;
        answer::json(
            status,
            &ErrorBody {
                message: self.message,
            },
        )
        .unwrap_or_else(|_| Response::new(Body::EMPTY))
    }
}

/// The status of each kind of refusal.
fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::BadParameter => StatusCode::BAD_REQUEST,
        Kind::NotModified => StatusCode::NOT_MODIFIED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<proa_engine::Error> for ApiError {
    fn from(error: proa_engine::Error) -> Self {
        if error.kind() == Kind::Internal {
            tracing::warn!("{}", error.told());
        }
        Self::new(status_of(error.kind()), error.told())
    }
}

impl From<proa_engine::images::Error> for ApiError {
    fn from(error: proa_engine::images::Error) -> Self {
        use proa_engine::images::Kind;
        let status = match error.kind() {
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::BadParameter => StatusCode::BAD_REQUEST,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            Kind::Unavailable | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut message = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            next = cause.source();
        }
        Self::new(status, message)
    }
}

impl From<BadQuery> for ApiError {
    fn from(error: BadQuery) -> Self {
        Self::bad(error.to_string())
    }
}

impl From<BadFilter> for ApiError {
    fn from(error: BadFilter) -> Self {
        Self::bad(error.to_string())
    }
}
