//! Failures: one line for people, one in the log for the caller.

use std::fs::File;
use std::io::{self, Write as _};

use super::arguments::{Globals, LogFormat};
use super::error::OciError;

/// Prints a failure and appends it to `--log`.
pub(super) fn failure(globals: &Globals, error: &OciError) {
    let message = error.chain();
    // Nowhere is left to complain if this fails.
    let _ = writeln!(io::stderr(), "proa-oci: {message}");
    if let Some(path) = &globals.log
        && let Ok(mut log) = File::options().create(true).append(true).open(path)
    {
        let time = jiff::Timestamp::now().to_string();
        let line = match globals.log_format {
            LogFormat::Json => {
                serde_json::json!({"level": "error", "msg": message, "time": time}).to_string()
            }
            LogFormat::Text => format!("time=\"{time}\" level=error msg={message:?}"),
        };
        let _ = writeln!(log, "{line}");
    }
}

/// Prints text as it is.
pub(super) fn print(text: &str) -> Result<(), OciError> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(OciError::io("write to standard output"))
}

/// Prints a document.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), OciError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| OciError::io("write a document")(error.into()))?;
    print(&format!("{text}\n"))
}
