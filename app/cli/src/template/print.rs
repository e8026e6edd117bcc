//! Values as text: Go's `%v`, `print`, `printf`, and compact JSON.

use serde_json::Value;
use std::fmt::Write as _;

/// A value as Go's `%v` shows it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!(
            "[{}]",
            list.iter().map(nested).collect::<Vec<_>>().join(" ")
        ),
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| key.as_str());
            let pairs: Vec<_> = pairs
                .into_iter()
                .map(|(key, value)| format!("{key}:{}", nested(value)))
                .collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

fn nested(value: &Value) -> String {
    if value.is_null() {
        "<nil>".to_owned()
    } else {
        shown(value)
    }
}

/// A value as one line of JSON.
pub(crate) fn compact_json(value: &Value) -> String {
    value.to_string()
}

/// Go's `print`: a space between two operands when neither is a text (`always`: as `println`, everywhere).
pub(super) fn spaced(values: &[Value], always: bool) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        let texts = at > 0 && (values[at - 1].is_string() || value.is_string());
        if at > 0 && (always || !texts) {
            out.push(' ');
        }
        out.push_str(&shown(value));
    }
    out
}

/// Go's `printf`, for the verbs that make sense on JSON values.
pub(super) fn formatted(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut values = values.iter();
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        while let Some(c) =
            rest.next_if(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | '#' | ' '))
        {
            spec.push(c);
        }
        match rest.next() {
            Some('%') => out.push('%'),
            Some(verb) => match values.next() {
                Some(value) => out.push_str(&padded(&spec, verb, &one(&spec, verb, value))),
                None => _ = write!(out, "%!{verb}(MISSING)"),
            },
            None => out.push_str("%!(NOVERB)"),
        }
    }
    out
}

fn one(spec: &str, verb: char, value: &Value) -> String {
    let precision = spec
        .split_once('.')
        .and_then(|(_, digits)| digits.parse::<usize>().ok());
    match (verb, value) {
        ('q', value) => Value::from(shown(value)).to_string(),
        ('x', Value::Number(number)) => format!("{:x}", number.as_i64().unwrap_or(0)),
        ('f', Value::Number(number)) => format!(
            "{:.*}",
            precision.unwrap_or(6),
            number.as_f64().unwrap_or(0.0)
        ),
        ('s', value) => match precision {
            Some(count) => shown(value).chars().take(count).collect(),
            None => shown(value),
        },
        (_, value) => shown(value),
    }
}

fn padded(spec: &str, verb: char, text: &str) -> String {
    let (left, digits) = match spec.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, spec.trim_start_matches(['+', ' ', '#'])),
    };
    let width = digits.split('.').next().unwrap_or("");
    let zeros = width.starts_with('0') && verb != 's';
    let width = width.parse::<usize>().unwrap_or(0).min(10_000);
    let missing = width.saturating_sub(text.chars().count());
    match (left, zeros) {
        (true, _) => format!("{text}{}", " ".repeat(missing)),
        (false, true) => format!("{}{text}", "0".repeat(missing)),
        (false, false) => format!("{}{text}", " ".repeat(missing)),
    }
}
