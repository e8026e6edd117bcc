//! `--ulimit name=soft[:hard]`.

use serde_json::{Value, json};

use crate::failure::Failure;

const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads a limit; one number is both.
pub(crate) fn parse(text: &str) -> Result<Value, Failure> {
    let bad = |what: &str| Failure::usage(format!("invalid ulimit argument: {text}: {what}"));
    let (name, limits) = text
        .split_once('=')
        .ok_or_else(|| bad("expected name=soft:hard"))?;
    if !NAMES.contains(&name) {
        return Err(bad("no such limit"));
    }
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |text: &str| text.parse::<i64>().map_err(|_| bad("not a number"));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(bad("the soft limit is above the hard one"));
    }
    Ok(json!({"Name": name, "Hard": hard, "Soft": soft}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_both_limits() {
        assert_eq!(
            parse("nofile=10").ok(),
            Some(json!({"Name": "nofile", "Hard": 10, "Soft": 10}))
        );
        assert_eq!(
            parse("nofile=10:20").ok(),
            Some(json!({"Name": "nofile", "Hard": 20, "Soft": 10}))
        );
        assert_eq!(
            parse("core=-1").ok(),
            Some(json!({"Name": "core", "Hard": -1, "Soft": -1}))
        );
        assert!(
            parse("nofile=20:10").is_err() && parse("x=1").is_err() && parse("nofile").is_err()
        );
    }
}
