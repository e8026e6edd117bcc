//! The lines that long requests answer with: one JSON document each, ended by `\r\n`.

use serde::{Deserialize, Serialize};

use crate::document::omit;

/// One line of progress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Text to print as it is.
    #[serde(skip_serializing_if = "omit::zero")]
    pub stream: String,
    /// What goes on.
    #[serde(skip_serializing_if = "omit::zero")]
    pub status: String,
    /// How far it is; `{}` where a line has an id and no numbers.
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub detail: Option<ProgressDetail>,
    /// The numbers as text, for clients that draw no bar of their own.
    #[serde(rename = "progress", skip_serializing_if = "omit::zero")]
    pub bar: String,
    /// To what: mostly a layer. A client keeps one line for each.
    #[serde(skip_serializing_if = "omit::zero")]
    pub id: String,
    /// The failure that ends the stream.
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<ProgressError>,
    /// The same for clients of long ago.
    #[serde(skip_serializing_if = "omit::zero")]
    pub error: String,
    /// A result for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<serde_json::Value>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressDetail {
    /// Done.
    #[serde(skip_serializing_if = "omit::zero")]
    pub current: u64,
    /// Of so many.
    #[serde(skip_serializing_if = "omit::zero")]
    pub total: u64,
}

/// Why it failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressError {
    /// For programs; mostly absent.
    #[serde(skip_serializing_if = "omit::zero")]
    pub code: i64,
    /// For people.
    pub message: String,
}

impl Progress {
    /// A line of its own.
    pub fn status(text: impl Into<String>) -> Self {
        Progress {
            status: text.into(),
            ..Progress::default()
        }
    }

    /// A line about `id`.
    pub fn of(id: impl Into<String>, status: impl Into<String>) -> Self {
        let detail = Some(ProgressDetail::default());
        Progress {
            id: id.into(),
            status: status.into(),
            detail,
            ..Progress::default()
        }
    }

    /// A line about `id`, with how far it is.
    pub fn measured(
        id: impl Into<String>,
        status: impl Into<String>,
        current: u64,
        total: u64,
    ) -> Self {
        let detail = ProgressDetail { current, total };
        let bar = detail.bar();
        Progress {
            detail: Some(detail),
            bar,
            ..Progress::of(id, status)
        }
    }

    /// The line that says why it ended.
    pub fn failed(message: impl Into<String>) -> Self {
        let message = message.into();
        let detail = ProgressError {
            code: 0,
            message: message.clone(),
        };
        Progress {
            error_detail: Some(detail),
            error: message,
            ..Progress::default()
        }
    }

    /// A result for programs.
    pub fn result(value: serde_json::Value) -> Self {
        Progress {
            aux: Some(value),
            ..Progress::default()
        }
    }

    /// The line's bytes, with its end.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.extend_from_slice(b"\r\n");
        line
    }
}

impl ProgressDetail {
    /// `[====>   ]  1.2MB/3.4MB`: fifty columns of bar, sizes in powers of ten.
    fn bar(self) -> String {
        let (current, total) = (self.current, self.total);
        if total == 0 {
            return format!("{:>8}", size(current));
        }
        let done = (u128::from(current.min(total)) * 50 / u128::from(total)) as usize;
        let head = if done < 50 { ">" } else { "" };
        let numbers = format!("{}/{}", size(current), size(total));
        format!(
            "[{}{head}{}] {numbers:>16}",
            "=".repeat(done),
            " ".repeat(50 - done - head.len())
        )
    }
}

/// A number of bytes as people write it: four digits at most, in powers of ten.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match value {
        v if v >= 100.0 || v.fract() == 0.0 && unit == 0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let decimals = if digits == 0 && value < 1000.0 && unit > 0 {
        1
    } else {
        digits
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &Progress, expected: &str) {
        assert_eq!(
            String::from_utf8(line.to_line()).unwrap(),
            format!("{expected}\r\n")
        );
    }

    #[test]
    fn lines_are_as_docker_writes_them() {
        check(
            &Progress::status("Digest: sha256:ab"),
            r#"{"status":"Digest: sha256:ab"}"#,
        );
        check(
            &Progress::of("ab", "Pulling fs layer"),
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"ab"}"#,
        );
        check(
            &Progress::failed("no"),
            r#"{"errorDetail":{"message":"no"},"error":"no"}"#,
        );
    }

    #[test]
    fn sizes_have_few_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1_234_567, "1.23MB"),
            (12_345_678, "12.3MB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
