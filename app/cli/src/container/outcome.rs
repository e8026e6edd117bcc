//! What became of a container: waiting for it, and the exit codes Docker gives.

use proa_host::{Answer, Engine, EngineError, Request};
use serde::Deserialize;

use crate::failure::{Exit, Failure};

/// What `wait` answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Outcome {
    status_code: i64,
    #[serde(default)]
    error: Option<OutcomeError>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OutcomeError {
    #[serde(default)]
    message: String,
}

/// Begins to wait; when this returns the engine waits, and the answer's body is the outcome.
pub(crate) async fn begin(
    engine: &Engine,
    container: &str,
    condition: &str,
) -> Result<Answer, EngineError> {
    engine
        .send(Request::post(&["containers", container, "wait"]).query("condition", condition))
        .await
}

impl Outcome {
    /// The exit code of the container as this program's own.
    pub(crate) fn exit(&self) -> Exit {
        if let Some(error) = self
            .error
            .as_ref()
            .filter(|error| !error.message.is_empty())
        {
            eprintln!("proa: {}", error.message);
            return Exit(125);
        }
        Exit(self.status_code as i32)
    }

    pub(crate) fn code(&self) -> i64 {
        self.status_code
    }
}

/// The exit code for a container that could not be started: 127 when its command is not there, 126 when it cannot be
/// executed, 125 for all else.
pub(crate) fn start_code(failure: &Failure) -> i32 {
    let message = failure.to_string();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&[
        "executable file not found",
        "no such file or directory",
        "system cannot find the file specified",
    ]) {
        127
    } else if says(&["permission denied", "is a directory"]) {
        126
    } else {
        125
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_not_there_is_127() {
        let code = |message: &str| start_code(&Failure::usage(message));
        assert_eq!(
            code("exec: \"x\": executable file not found in $PATH: unknown"),
            127
        );
        assert_eq!(code("exec: \"/etc\": permission denied: unknown"), 126);
        assert_eq!(code("invalid mount"), 125);
    }
}
