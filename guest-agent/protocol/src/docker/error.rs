//! The one shape of every failure.

use serde::{Deserialize, Serialize};

/// The body of every answer whose status says failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, in words for people.
    pub message: String,
}
