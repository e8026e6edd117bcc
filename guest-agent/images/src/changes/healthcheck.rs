//! `HEALTHCHECK`: options, then `NONE` or `CMD` and a command.

use super::BadChange;
use crate::documents::Healthcheck;

const NONE_ELSE: &str = "HEALTHCHECK NONE takes no arguments";

pub(super) fn parse(text: &str) -> Result<Healthcheck, BadChange> {
    let mut check = Healthcheck::default();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let (option, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        set(&mut check, option)?;
        rest = after.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    match kind.to_ascii_uppercase().as_str() {
        "NONE" if command.is_empty() => check.test = vec!["NONE".to_owned()],
        "NONE" => return Err(BadChange::Wrong(NONE_ELSE.to_owned())),
        "CMD" if command.is_empty() => {
            let words = "Missing command after HEALTHCHECK CMD";
            return Err(BadChange::Wrong(words.to_owned()));
        }
        "CMD" => {
            check.test = match serde_json::from_str::<Vec<String>>(command) {
                Ok(list) => ["CMD".to_owned()].into_iter().chain(list).collect(),
                Err(_) => vec!["CMD-SHELL".to_owned(), command.to_owned()],
            };
        }
        "" => return Err(BadChange::Wants("HEALTHCHECK", "at least one argument")),
        other => {
            let words = format!("Unknown type {other:?} in HEALTHCHECK (try CMD)");
            return Err(BadChange::Wrong(words));
        }
    }
    Ok(check)
}

fn set(check: &mut Healthcheck, option: &str) -> Result<(), BadChange> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let time = || nanoseconds(value).ok_or_else(|| bad_time(value));
    match name {
        "--interval" => check.interval = time()?,
        "--timeout" => check.timeout = time()?,
        "--start-period" => check.start_period = time()?,
        "--start-interval" => check.start_interval = time()?,
        "--retries" => {
            let retries = value.parse::<i64>().ok().filter(|retries| *retries >= 0);
            let words = || format!("--retries cannot be negative ({value})");
            check.retries = retries.ok_or_else(|| BadChange::Wrong(words()))?;
        }
        _ => {
            let name = name.trim_start_matches('-');
            return Err(BadChange::Wrong(format!("Unknown flag: {name}")));
        }
    }
    Ok(())
}

fn bad_time(value: &str) -> BadChange {
    BadChange::Wrong(format!("time: invalid duration {value:?}"))
}

/// Go's durations: `1m30s`, `1.5h`, `500ms`.
fn nanoseconds(text: &str) -> Option<i64> {
    const UNITS: &[(&str, f64)] = &[
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 6e10),
        ("h", 3.6e12),
    ];
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|letter: char| letter.is_ascii_digit() || letter == '.');
        let (unit, after) = rest.split_at(end.unwrap_or(rest.len()));
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total += number * scale;
        rest = after;
    }
    // The longest duration that Go knows is 292 years.
    (!text.is_empty() && total < 9.2e18).then_some(total as i64)
}
