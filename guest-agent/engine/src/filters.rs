//! Docker's `filters` parameter: `{"status":["exited"]}`, or the old form `{"status":{"exited":true}}`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{Error, Result};

/// What to list, by key. An absent key accepts everything; several values of one key are alternatives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

impl Filters {
    /// Reads the parameter's JSON; an empty text is no filter.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Filters::default());
        }
        let wrong = || Error::bad(format!("invalid filter: '{text}'"));
        let map: BTreeMap<String, Value> = serde_json::from_str(text).map_err(|_| wrong())?;
        map.into_iter()
            .map(|(key, values)| Ok((key, read_values(values).ok_or_else(wrong)?)))
            .collect::<Result<_>>()
            .map(Filters)
    }

    /// Adds one value.
    #[must_use]
    pub fn and(mut self, key: &str, value: &str) -> Self {
        self.0
            .entry(key.to_owned())
            .or_default()
            .insert(value.to_owned());
        self
    }

    /// Refuses keys that are not among `known`.
    pub fn check_keys(&self, known: &[&str]) -> Result<()> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Error::bad(format!("invalid filter '{key}'"))),
            None => Ok(()),
        }
    }

    /// The values asked for under `key`; none if it is absent.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Whether `key` is absent or one of its values fulfils `test`.
    pub fn accepts(&self, key: &str, test: impl Fn(&str) -> bool) -> bool {
        match self.0.get(key) {
            None => true,
            Some(values) => values.is_empty() || values.iter().any(|value| test(value)),
        }
    }

    /// Whether every value of `key` fulfils `test` (labels are all asked for at once).
    pub fn demands(&self, key: &str, test: impl Fn(&str) -> bool) -> bool {
        self.values(key).all(test)
    }

    /// Whether `key` is given.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A yes or no under `key`.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.values(key).next() {
            None => Ok(None),
            Some("1" | "true" | "True") => Ok(Some(true)),
            Some("0" | "false" | "False") => Ok(Some(false)),
            Some(other) => Err(Error::bad(format!("invalid filter '{key}={other}'"))),
        }
    }

    /// Whether an object with `labels` fulfils `label` (all of them) and `label!` (none of them).
    pub fn accepts_labels<'a>(&self, labels: impl Fn(&str) -> Option<&'a str>) -> bool {
        let carries = |wanted: &str| match wanted.split_once('=') {
            Some((key, value)) => labels(key) == Some(value),
            None => labels(wanted).is_some(),
        };
        self.demands("label", carries) && self.demands("label!", |unwanted| !carries(unwanted))
    }
}

fn read_values(values: Value) -> Option<BTreeSet<String>> {
    match values {
        Value::Array(list) => list
            .into_iter()
            .map(|value| Some(value.as_str()?.to_owned()))
            .collect(),
        // The old form; a value marked false is not asked for.
        Value::Object(map) => Some(
            map.into_iter()
                .filter(|(_, on)| on.as_bool() == Some(true))
                .map(|(value, _)| value)
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let new = Filters::parse(r#"{"status":["exited","dead"]}"#).unwrap();
        let old = Filters::parse(r#"{"status":{"exited":true,"dead":true}}"#).unwrap();
        assert_eq!(new, old);
        assert!(Filters::parse("{").is_err());
        assert!(Filters::parse("").unwrap().is_empty());
    }

    #[test]
    fn labels_are_all_demanded() {
        let filters = Filters::default().and("label", "a=1").and("label", "b");
        let both = |key: &str| {
            [("a", "1"), ("b", "")]
                .into_iter()
                .find(|(k, _)| *k == key)
                .map(|(_, v)| v)
        };
        assert!(filters.accepts_labels(both));
        assert!(!filters.accepts_labels(|key| (key == "a").then_some("1")));
        assert!(!filters.and("label!", "b").accepts_labels(both));
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let error = Filters::default()
            .and("shape", "x")
            .check_keys(&["status"])
            .unwrap_err();
        assert_eq!(error.told(), "invalid filter 'shape'");
    }
}
