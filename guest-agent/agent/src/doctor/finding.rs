//! What a check found.

use serde::Serialize;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, in words.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Good,
    /// Containers run, something about them does not work.
    Less,
    /// Containers do not run.
    Missing,
}

impl Finding {
    /// As it should be.
    pub(crate) fn good(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            verdict: Verdict::Good,
            found: found.into(),
            advice: None,
        }
    }

    /// Containers run without what this is for.
    pub(crate) fn less(
        name: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Less,
            advice: Some(advice.into()),
            ..Self::good(name, found)
        }
    }

    /// Containers cannot run.
    pub(crate) fn missing(
        name: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Missing,
            advice: Some(advice.into()),
            ..Self::good(name, found)
        }
    }

    /// Whether containers cannot run because of it.
    pub(crate) fn is_fatal(&self) -> bool {
        self.verdict == Verdict::Missing
    }
}
