//! What the engine last answered to questions that poll, for the time that the machine is asleep: nothing runs then, so
//! nothing changes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};

use super::Refusal;
use super::body::Body;
use crate::machine::supervisor::Busy;

/// Questions whose answers are kept.
const MOST: usize = 64;
/// A longer answer is not kept.
const LONGEST: usize = 1 << 20;

/// Answers by their questions.
#[derive(Default)]
pub(super) struct Known {
    answers: Mutex<HashMap<String, Response<Bytes>>>,
}

impl Known {
    /// What was answered last.
    pub(super) fn answer(&self, question: &str) -> Option<Response<Body>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        Some(answers.get(question)?.clone().map(Body::whole))
    }

    /// Passes an answer, and keeps it.
    pub(super) async fn learn(
        &self,
        question: String,
        response: Response<Incoming>,
        busy: Busy,
    ) -> Response<Body> {
        if response.status() != StatusCode::OK {
            return response.map(|body| Body::busy(body, busy));
        }
        let (head, mut body) = response.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(more)) => bytes.extend_from_slice(&more),
                Ok(Err(_trailers)) => {}
                Err(e) => {
                    let words = format!("the engine in the machine broke off: {e}");
                    return Refusal::new(StatusCode::BAD_GATEWAY, words).response();
                }
            }
        }
        let response = Response::from_parts(head, bytes.freeze());
        if response.body().len() <= LONGEST {
            self.keep(question, response.clone());
        }
        response.map(Body::whole)
    }

    fn keep(&self, question: String, response: Response<Bytes>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST && !answers.contains_key(&question) {
            answers.clear();
        }
        answers.insert(question, response);
    }

    /// Something changes that lists tell of.
    pub(super) fn forget_lists(&self) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|question, _| {
            ["/_ping?", "/version?"]
                .iter()
                .any(|constant| question.ends_with(constant))
        });
    }
}
