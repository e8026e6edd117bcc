//! How a start goes: a line that changes on a terminal, lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use proa_host::machine::control::Condition;

/// Where phases are shown.
pub(super) enum Phases {
    Changing(ProgressBar),
    Lines,
    Nothing,
}

impl Phases {
    pub(super) fn new(quiet: bool) -> Self {
        if quiet {
            return Self::Nothing;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self::Changing(bar)
    }

    /// Shows what the machine does now.
    pub(super) fn show(&self, condition: &Condition) {
        let Condition::Starting { phase } = condition else {
            return;
        };
        match self {
            Self::Changing(bar) => bar.set_message(phase.clone()),
            Self::Lines => eprintln!("machine: {phase}"),
            Self::Nothing => {}
        }
    }

    /// Makes room for what is said next.
    pub(super) fn finish(self) {
        if let Self::Changing(bar) = self {
            bar.finish_and_clear();
        }
    }
}
