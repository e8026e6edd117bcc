//! `/volumes/…`

use hyper::Method;

use crate::server::{Answer, ApiError, Call};

/// Picks the verb.
pub(super) async fn answer(method: &Method, path: &[&str], call: Call) -> Answer {
    let _ = (method, path, call);
    Err(ApiError::not_here("volumes"))
}
