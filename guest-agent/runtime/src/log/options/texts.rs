//! Values of options.

use std::collections::BTreeMap;

use super::BadLogOption;

/// Options by name.
pub(super) type Texts = BTreeMap<String, String>;

/// `10m`, `1.5g`, `1000`: powers of 1000, as Docker reads them here.
pub(super) fn size(option: &str, text: &str) -> Result<u64, BadLogOption> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = match lower[digits.len()..]
        .trim()
        .trim_end_matches('b')
        .trim_end_matches('i')
    {
        "" => 1e0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        "p" => 1e15,
        _ => {
            return Err(BadLogOption::Value(format!(
                "invalid suffix: '{}'",
                &lower[digits.len()..]
            )));
        }
    };
    match digits.parse::<f64>() {
        Ok(number) if number > 0.0 && (number * unit) < 9e18 => Ok((number * unit) as u64),
        Ok(_) => Err(BadLogOption::Value(format!(
            "{option} must be a positive number"
        ))),
        Err(_) => Err(BadLogOption::Value(format!("invalid size: '{text}'"))),
    }
}

/// `true`, `false` and the other words Go takes for them.
pub(super) fn flag(options: &Texts, option: &str) -> Result<Option<bool>, BadLogOption> {
    let Some(text) = options.get(option) else {
        return Ok(None);
    };
    match text.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
        other => Err(BadLogOption::Value(format!(
            "invalid value for {option}: \"{other}\": invalid syntax"
        ))),
    }
}

/// A syslog facility by name or number.
pub(super) fn facility(text: &str) -> Result<u8, BadLogOption> {
    const NAMES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron",
        "authpriv", "ftp", // The numbers between belong to nobody.
        "", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
        "local7",
    ];
    if let Some(number) = NAMES
        .iter()
        .position(|name| !name.is_empty() && *name == text)
    {
        return Ok(number as u8);
    }
    let number = text.parse().ok().filter(|number| *number <= 23);
    number.ok_or_else(|| BadLogOption::value("invalid syslog facility"))
}
