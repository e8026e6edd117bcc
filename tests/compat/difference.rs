//! Two sets of facts side by side: what differs, less what the allow-list gives a reason for.

use std::collections::BTreeMap;

use serde_json::Value;

/// Every difference that is meant, one a line: `SCOPE | KEY | REASON`, with `*` in scope and key for anything.
const ALLOWED: &str = include_str!("allow.txt");

/// Facts by key; what a key is depends on who made them.
pub type Facts = BTreeMap<String, String>;

struct Allowance {
    scope: &'static str,
    key: &'static str,
}

fn allowances() -> impl Iterator<Item = Allowance> {
    ALLOWED
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut parts = line.split(" | ").map(str::trim);
            let (scope, key, reason) = (parts.next(), parts.next(), parts.next());
            let complete = scope
                .zip(key)
                .zip(reason.filter(|reason| !reason.is_empty()));
            let ((scope, key), _) = complete
                .unwrap_or_else(|| panic!("an allowance needs scope, key and reason: {line}"));
            Allowance { scope, key }
        })
}

/// Fails with every difference between the two that nothing allows.
#[track_caller]
pub fn assert_same(scope: &str, ours: &Facts, peer: &Facts) {
    let allowed: Vec<_> = allowances()
        .filter(|allowance| matches(allowance.scope, scope))
        .collect();
    let left: Vec<_> = differences(ours, peer)
        .into_iter()
        .filter(|(key, _)| !allowed.iter().any(|allowance| matches(allowance.key, key)))
        .map(|(key, words)| format!("{scope} | {key} | {words}"))
        .collect();
    assert!(
        left.is_empty(),
        "{} differences without a reason:\n{}",
        left.len(),
        left.join("\n")
    );
}

fn differences(ours: &Facts, peer: &Facts) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, value) in peer {
        match ours.get(key) {
            None => found.push((key.clone(), format!("only Docker: {value}"))),
            Some(own) if own != value => {
                found.push((key.clone(), format!("ours {own}   Docker {value}")));
            }
            Some(_) => {}
        }
    }
    let only_ours = ours.iter().filter(|(key, _)| !peer.contains_key(*key));
    found.extend(only_ours.map(|(key, value)| (key.clone(), format!("only ours: {value}"))));
    found
}

/// `*` stands for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(head) else {
        return false;
    };
    (0..=rest.len())
        .filter(|at| rest.is_char_boundary(*at))
        .any(|at| matches(tail, &rest[at..]))
}

/// A document as facts: `/HostConfig/Memory` → `0`. Elements of lists are numbered; empty lists, objects and null stand
/// for themselves.
pub fn facts(document: &Value) -> Facts {
    let mut facts = Facts::new();
    flatten("", document, &mut facts);
    facts
}

fn flatten(path: &str, value: &Value, facts: &mut Facts) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields
                .iter()
                .for_each(|(key, value)| flatten(&format!("{path}/{key}"), value, facts));
        }
        Value::Array(items) if !items.is_empty() => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, value)| flatten(&format!("{path}/{at}"), value, facts));
        }
        other => {
            facts.insert(path.to_owned(), other.to_string());
        }
    }
}

/// Keeps of each value under one of `paths` only its shape: for ids, times and sizes that never repeat.
pub fn shapes(mut facts: Facts, paths: &[&str]) -> Facts {
    for (key, value) in &mut facts {
        if paths.iter().any(|path| matches(path, key)) {
            *value = shape(value);
        }
    }
    facts
}

/// `"2026-11-22T03:13:00.123456789Z"` → `"9999-99-99T99:99:99.9Z"`: digits and hexadecimal runs lose their value and
/// their length.
fn shape(value: &str) -> String {
    let mut shape = String::new();
    let mut last = ' ';
    let hexadecimal = value
        .trim_matches('"')
        .trim_start_matches("sha256:")
        .chars()
        .all(|c| c.is_ascii_hexdigit());
    for c in value.chars() {
        let class = if c.is_ascii_digit() || (hexadecimal && c.is_ascii_hexdigit()) {
            '9'
        } else {
            c
        };
        if class != '9' || last != '9' {
            shape.push(class);
        }
        last = class;
    }
    shape
}

#[test]
fn a_star_stands_for_anything() {
    assert!(matches("/a/*/c", "/a/b/x/c"));
    assert!(matches("*", ""));
    assert!(!matches("/a/*", "/b"));
}

#[test]
fn values_that_never_repeat_keep_their_shape() {
    assert_eq!(shape("\"2026-11-22T03:13:00.12Z\""), "\"9-9-9T9:9:9.9Z\"");
    assert_eq!(shape("\"abcd0123\""), "\"9\"");
    assert_eq!(shape("17"), "9");
    assert_ne!(shape("\"\""), shape("\"abc\""));
}
