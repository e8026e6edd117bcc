//! How a download, an upload or a load goes: bars on a terminal, lines elsewhere.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use proa_host::Lines;
use serde::Deserialize;

use super::size;
use crate::failure::Failure;

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    Nothing,
    OnStdout,
    OnStderr,
}

/// One message of the engine.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Step {
    id: String,
    status: String,
    stream: String,
    progress_detail: Option<Detail>,
    error: String,
    error_detail: Option<ErrorDetail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    current: u64,
    total: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorDetail {
    message: String,
}

impl Step {
    /// What went wrong, if this is the message that says so.
    fn failure(&self) -> Option<String> {
        let detail = self
            .error_detail
            .as_ref()
            .map(|detail| detail.message.clone())
            .filter(|message| !message.is_empty());
        detail.or_else(|| (!self.error.is_empty()).then(|| self.error.clone()))
    }

    fn amount(&self) -> Option<(u64, u64)> {
        self.progress_detail
            .as_ref()
            .map(|detail| (detail.current, detail.total))
            .filter(|amount| *amount != (0, 0))
    }

    /// The line for those who read no bars; steps of an amount are left out.
    fn line(&self) -> Option<String> {
        if !self.stream.is_empty() {
            return Some(self.stream.clone());
        }
        match (self.amount(), self.id.is_empty()) {
            _ if self.status.is_empty() => None,
            (Some(_), _) => None,
            (None, true) => Some(format!("{}\n", self.status)),
            (None, false) => Some(format!("{}: {}\n", self.id, self.status)),
        }
    }
}

/// Shows steps until they end; the engine's error among them is the failure.
pub(crate) async fn follow(mut steps: Lines<Step>, show: Show) -> Result<(), Failure> {
    let mut board = Board::new(show);
    while let Some(step) = steps.next().await? {
        if let Some(message) = step.failure() {
            board.leave();
            return Err(Failure::usage(message));
        }
        board.show(&step);
    }
    board.leave();
    Ok(())
}

enum Board {
    Nothing,
    Lines(Box<dyn Write>),
    Bars {
        all: MultiProgress,
        bars: HashMap<String, ProgressBar>,
    },
}

impl Board {
    fn new(show: Show) -> Self {
        match show {
            Show::Nothing => Self::Nothing,
            Show::OnStdout if std::io::stdout().is_terminal() => {
                Self::bars(ProgressDrawTarget::stdout())
            }
            Show::OnStderr if std::io::stderr().is_terminal() => {
                Self::bars(ProgressDrawTarget::stderr())
            }
            Show::OnStdout => Self::Lines(Box::new(std::io::stdout())),
            Show::OnStderr => Self::Lines(Box::new(std::io::stderr())),
        }
    }

    fn bars(target: ProgressDrawTarget) -> Self {
        Self::Bars {
            all: MultiProgress::with_draw_target(target),
            bars: HashMap::new(),
        }
    }

    fn show(&mut self, step: &Step) {
        match self {
            Self::Nothing => {}
            Self::Lines(out) => {
                if let Some(line) = step.line() {
                    // Nobody reads: the download goes on all the same.
                    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
                }
            }
            Self::Bars { all, bars } if !step.id.is_empty() => {
                let bar = bars
                    .entry(step.id.clone())
                    .or_insert_with(|| all.add(new_bar(&step.id)));
                advance(bar, step);
            }
            Self::Bars { all, .. } => {
                if let Some(line) = step.line() {
                    let _ = all.println(line.trim_end());
                }
            }
        }
    }

    /// Leaves the bars as they are; lines go on below.
    fn leave(&mut self) {
        if let Self::Bars { bars, .. } = self {
            bars.values().for_each(ProgressBar::abandon);
        }
    }
}

fn new_bar(id: &str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_prefix(id.to_owned());
    bar.set_style(style("{prefix}: {msg}"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn advance(bar: &ProgressBar, step: &Step) {
    match step.amount() {
        Some((current, total)) if total > 0 => {
            bar.set_style(style("{prefix}: {msg} [{bar:40}]").progress_chars("=> "));
            bar.set_length(total);
            bar.set_position(current);
            bar.set_message(format!(
                "{:<12} {:>8}/{:<8}",
                step.status,
                size::short(current),
                size::short(total)
            ));
        }
        Some((current, _)) => {
            bar.set_style(style("{prefix}: {msg}"));
            bar.set_message(format!("{} {}", step.status, size::short(current)));
        }
        None => {
            bar.set_style(style("{prefix}: {msg}"));
            bar.set_message(step.status.clone());
        }
    }
}

/// The templates are ours; one that is malformed falls back to the usual bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Step {
        serde_json::from_str(text).expect("a step")
    }

    #[test]
    fn lines_leave_amounts_out() {
        assert_eq!(
            step(r#"{"status":"Pulling from a","id":"1"}"#)
                .line()
                .as_deref(),
            Some("1: Pulling from a\n")
        );
        assert_eq!(
            step(r#"{"status":"Digest: x"}"#).line().as_deref(),
            Some("Digest: x\n")
        );
        assert_eq!(
            step(r#"{"status":"Downloading","id":"1","progressDetail":{"current":1,"total":2}}"#)
                .line(),
            None
        );
        assert_eq!(
            step(r#"{"stream":"Loaded image: a\n"}"#).line().as_deref(),
            Some("Loaded image: a\n")
        );
    }

    #[test]
    fn errors_are_found_in_both_places() {
        assert_eq!(step(r#"{"error":"a"}"#).failure().as_deref(), Some("a"));
        assert_eq!(
            step(r#"{"error":"a","errorDetail":{"message":"b"}}"#)
                .failure()
                .as_deref(),
            Some("b")
        );
        assert_eq!(step(r#"{"status":"x"}"#).failure(), None);
    }
}
