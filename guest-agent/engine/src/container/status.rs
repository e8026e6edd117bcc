//! What the tables say of a container: `Up 5 minutes (Paused)`, `Exited (0) 2 hours ago`.

use jiff::{SignedDuration, Timestamp};

use super::state::State;

/// Docker's sentence.
pub(super) fn sentence(state: &State, now: Timestamp) -> String {
    let since = |time: Timestamp| spoken(now.duration_since(time));
    match state {
        State::Created(_) => "Created".to_owned(),
        State::Running(running) => format!("Up {}", since(running.started)),
        State::Paused(running) => format!("Up {} (Paused)", since(running.started)),
        State::Restarting(exit) => {
            format!("Restarting ({}) {} ago", exit.code, since(exit.finished))
        }
        State::Exited(exit) => format!("Exited ({}) {} ago", exit.code, since(exit.finished)),
        State::Removing(_) => "Removal In Progress".to_owned(),
    }
}

/// A length of time as people say it, in Docker's steps.
pub(super) fn spoken(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, ..48) => format!("{hours} hours"),
        (_, _, ..336) => format!("{} days", hours / 24),
        (_, _, ..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, ..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spoken_in_dockers_steps() {
        let check = |seconds: i64, expected: &str| {
            assert_eq!(
                spoken(SignedDuration::from_secs(seconds)),
                expected,
                "{seconds}"
            );
        };
        check(0, "Less than a second");
        check(1, "1 second");
        check(59, "59 seconds");
        check(60, "About a minute");
        check(3599, "59 minutes");
        check(3600, "About an hour");
        check(5400, "2 hours");
        check(47 * 3600, "47 hours");
        check(48 * 3600, "2 days");
        check(15 * 86_400, "2 weeks");
        check(70 * 86_400, "2 months");
        check(800 * 86_400, "2 years");
    }
}
