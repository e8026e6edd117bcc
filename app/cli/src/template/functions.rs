//! The functions a template may call: Go's and Docker's.

use std::cmp::Ordering;

use serde_json::Value;

use super::TemplateError;
use super::print::{self, shown};

const NAMES: [&str; 27] = [
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "urlquery",
    "eq", "ne", "lt", "le", "gt", "ge", "json", "split", "join", "title", "lower", "upper", "pad",
    "padlen", "truncate", "js",
];

/// Whether there is such a function.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Go's idea of truth: not zero, not empty.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Calls a function.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, TemplateError> {
    let value = match (name, arguments) {
        ("and", [.., last]) => arguments
            .iter()
            .find(|value| !truth(value))
            .unwrap_or(last)
            .clone(),
        ("or", [.., last]) => arguments
            .iter()
            .find(|value| truth(value))
            .unwrap_or(last)
            .clone(),
        ("not", [value]) => (!truth(value)).into(),
        ("len", [value]) => length(value)?.into(),
        ("index", [value, keys @ ..]) => index(value, keys)?,
        ("slice", [value, bounds @ ..]) => slice(value, bounds)?,
        ("print" | "urlquery", _) => print::spaced(arguments, false).into(),
        ("println", _) => (print::spaced(arguments, true) + "\n").into(),
        ("printf", [Value::String(format), rest @ ..]) => print::formatted(format, rest).into(),
        ("html" | "js", _) => escape(&print::spaced(arguments, false)).into(),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            others.iter().any(|other| equal(first, other)).into()
        }
        ("ne", [a, b]) => (!equal(a, b)).into(),
        ("lt", [a, b]) => (order(a, b)? == Ordering::Less).into(),
        ("le", [a, b]) => (order(a, b)? != Ordering::Greater).into(),
        ("gt", [a, b]) => (order(a, b)? == Ordering::Greater).into(),
        ("ge", [a, b]) => (order(a, b)? != Ordering::Less).into(),
        _ => docker(name, arguments)?,
    };
    Ok(value)
}

fn docker(name: &str, arguments: &[Value]) -> Result<Value, TemplateError> {
    let value = match (name, arguments) {
        ("json", [value]) => print::compact_json(value).into(),
        ("split", [Value::String(text), Value::String(by)]) => {
            text.split(by.as_str()).map(Value::from).collect()
        }
        ("join", [Value::Array(list), Value::String(by)]) => {
            list.iter().map(shown).collect::<Vec<_>>().join(by).into()
        }
        ("join", [Value::Null, _]) => "".into(),
        ("title", [value]) => capitalised(&shown(value)).into(),
        ("lower", [value]) => shown(value).to_lowercase().into(),
        ("upper", [value]) => shown(value).to_uppercase().into(),
        ("truncate", [Value::String(text), Value::Number(count)]) => text
            .chars()
            .take(count.as_u64().unwrap_or(0) as usize)
            .collect::<String>()
            .into(),
        (
            "pad",
            [
                Value::String(text),
                Value::Number(before),
                Value::Number(after),
            ],
        ) => {
            let spaces = |count: &serde_json::Number| {
                " ".repeat(count.as_u64().unwrap_or(0).min(1000) as usize)
            };
            format!("{}{text}{}", spaces(before), spaces(after)).into()
        }
        _ => {
            return Err(TemplateError::Unfit(format!(
                "{name}: wrong number or kind of arguments"
            )));
        }
    };
    Ok(value)
}

fn length(value: &Value) -> Result<usize, TemplateError> {
    match value {
        Value::String(text) => Ok(text.len()),
        Value::Array(list) => Ok(list.len()),
        Value::Object(map) => Ok(map.len()),
        Value::Null => Ok(0),
        other => Err(TemplateError::Unfit(format!("len of {}", shown(other)))),
    }
}

fn index(value: &Value, keys: &[Value]) -> Result<Value, TemplateError> {
    let mut here = value.clone();
    for key in keys {
        here = match (&here, key) {
            // A key that a map lacks is its zero value, which for Docker's maps of texts is the empty one.
            (Value::Object(map), Value::String(key)) => map
                .get(key)
                .cloned()
                .unwrap_or_else(|| zero(map.values().next())),
            (Value::Array(list), Value::Number(at)) => at
                .as_u64()
                .and_then(|at| list.get(at as usize).cloned())
                .ok_or_else(|| TemplateError::Unfit(format!("index: {at} is out of range")))?,
            (Value::Null, _) => Value::Null,
            (_, key) => {
                return Err(TemplateError::Unfit(format!(
                    "index: can't use {} there",
                    shown(key)
                )));
            }
        };
    }
    Ok(here)
}

fn zero(sibling: Option<&Value>) -> Value {
    match sibling {
        Some(Value::String(_)) => "".into(),
        Some(Value::Number(_)) => 0.into(),
        Some(Value::Bool(_)) => false.into(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => Value::Null,
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, TemplateError> {
    let size = length(value)?;
    let bound = |at: usize, otherwise: usize| {
        bounds
            .get(at)
            .and_then(Value::as_u64)
            .map_or(otherwise, |bound| bound as usize)
    };
    let (from, to) = (bound(0, 0), bound(1, size));
    let outside = || TemplateError::Unfit(format!("slice: {from} to {to} is out of range"));
    match value {
        Value::String(text) => text.get(from..to).map(Value::from).ok_or_else(outside),
        Value::Array(list) => list
            .get(from..to)
            .map(|part| Value::Array(part.to_vec()))
            .ok_or_else(outside),
        _ => Err(outside()),
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b) == Ordering::Equal,
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Result<Ordering, TemplateError> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Ok(a.cmp(&b)),
            _ => Ok(a
                .as_f64()
                .unwrap_or(0.0)
                .total_cmp(&b.as_f64().unwrap_or(0.0))),
        },
        _ => Err(TemplateError::Unfit(format!(
            "can't compare {} with {}",
            shown(a),
            shown(b)
        ))),
    }
}

fn capitalised(text: &str) -> String {
    let mut starts = true;
    text.chars()
        .flat_map(|c| {
            let upper = starts;
            starts = c.is_whitespace();
            if upper {
                c.to_uppercase().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}
