//! Signals by name or number.

use proa_runtime::client::{self, Target};

use super::{state::State, task::Task};
use crate::{Engine, Error, Result};

/// Names without `SIG`, as on every architecture the engine runs on.
const NAMES: &[(&str, i32)] = &[
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("RTMIN", 34),
    ("RTMAX", 64),
];

pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGTERM: i32 = 15;

/// A signal's number: `9`, `KILL`, `SIGKILL`, `RTMIN+3`, `rtmax-1`.
pub(crate) fn parse(text: &str) -> Result<i32> {
    let wrong = || Error::bad(format!("invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=64).contains(&number) {
            Ok(number)
        } else {
            Err(wrong())
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let offset = |rest: &str| rest.parse::<i32>().ok();
    let number = match (
        name.strip_prefix("RTMIN+").and_then(offset),
        name.strip_prefix("RTMAX-").and_then(offset),
    ) {
        (Some(up), _) => 34 + up,
        (None, Some(down)) => 64 - down,
        (None, None) => return Err(wrong()),
    };
    if (34..=64).contains(&number) {
        Ok(number)
    } else {
        Err(wrong())
    }
}

impl Task {
    /// Sends a signal to the first process. One that is meant to end it is remembered for the restart policy.
    pub(super) async fn signal(&mut self, engine: &Engine, signal: i32, stops: bool) -> Result<()> {
        if let (State::Restarting(exit), true) = (&self.state, stops) {
            let exit = exit.clone();
            self.attempt += 1;
            self.history.manually_stopped = !engine.is_going_down();
            self.enter(State::Exited(exit));
            return self.commit_history(engine).await;
        }
        let running = self.state.running(self.id())?.clone();
        if stops && !self.history.manually_stopped && !engine.is_going_down() {
            self.history.manually_stopped = true;
            if self.definition.restart_policy() != super::definition::RestartPolicy::No {
                self.commit_history(engine).await?;
            }
        }
        running
            .link
            .ask(
                &client::Request::Signal {
                    target: Target::Init,
                    signal,
                },
                &[],
            )
            .await?;
        if matches!(self.state, State::Paused(_)) && stops {
            // A frozen process would not hear it.
            self.thaw(engine).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        let check = |text: &str, number| assert_eq!(parse(text).ok(), number, "{text}");
        check("9", Some(9));
        check("SIGTERM", Some(15));
        check("term", Some(15));
        check("RTMIN+3", Some(37));
        check("SIGRTMAX-1", Some(63));
        check("0", None);
        check("65", None);
        check("RTMIN+40", None);
        check("NOPE", None);
        assert_eq!(parse("NOPE").unwrap_err().told(), "invalid signal: NOPE");
    }
}
