//! The parameter `filters`: `{"label":{"a=b":true}}`, or in its newer form `{"label":["a=b"]}`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// Which things a request is about: for every key the values that do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

/// Why filters cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// Not the document.
    #[error("invalid filter")]
    Json,
    /// A key that this request does not know.
    #[error("invalid filter '{0}'")]
    Key(String),
    /// A value that the key does not allow.
    #[error("invalid filter '{key}={value}'")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Map(BTreeMap<String, bool>),
    List(Vec<String>),
}

impl Filters {
    /// Reads the parameter; an absent or an empty one filters nothing.
    pub fn from_json(text: &str) -> Result<Self, BadFilter> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let read: Option<BTreeMap<String, Values>> =
            serde_json::from_str(text).map_err(|_| BadFilter::Json)?;
        let keep = |values| match values {
            Values::Map(map) => map
                .into_iter()
                .filter_map(|(value, on)| on.then_some(value))
                .collect(),
            Values::List(list) => list.into_iter().collect(),
        };
        Ok(Self(
            read.unwrap_or_default()
                .into_iter()
                .map(|(key, values)| (key, keep(values)))
                .collect(),
        ))
    }

    /// Adds one value, as a client does.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.0
            .entry(key.to_owned())
            .or_default()
            .insert(value.to_owned());
        self
    }

    /// Refuses keys outside `known`.
    pub fn only(&self, known: &[&str]) -> Result<(), BadFilter> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(BadFilter::Key(key.clone())),
            None => Ok(()),
        }
    }

    /// Whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `key` is there.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The values of `key`.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Whether `value` is among the values of `key`, or the key is absent.
    pub fn allows(&self, key: &str, value: &str) -> bool {
        self.any(key, |wanted| wanted == value)
    }

    /// Whether `fits` holds for a value of `key`, or the key is absent.
    pub fn any(&self, key: &str, fits: impl FnMut(&str) -> bool) -> bool {
        match self.0.get(key) {
            None => true,
            Some(values) => values.is_empty() || values.iter().map(String::as_str).any(fits),
        }
    }

    /// A key whose value is a truth value, or `None` where it is absent.
    pub fn truth(&self, key: &str) -> Result<Option<bool>, BadFilter> {
        let Some(values) = self.0.get(key) else {
            return Ok(None);
        };
        let bad = |value: &str| BadFilter::Value {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let mut answer = None;
        for value in values {
            let read = match value.as_str() {
                "1" | "true" | "True" | "t" | "T" | "TRUE" => true,
                "0" | "false" | "False" | "f" | "F" | "FALSE" => false,
                other => return Err(bad(other)),
            };
            if answer.is_some_and(|before| before != read) {
                return Err(bad(value));
            }
            answer = Some(read);
        }
        Ok(answer)
    }

    /// Whether labels satisfy every value of `key`: `name`, or `name=value`.
    pub fn labels(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        self.values(key).all(|wanted| match wanted.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|has| has == value),
            None => labels.contains_key(wanted),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let map = Filters::from_json(r#"{"label":{"a=b":true,"c":true,"d":false}}"#).unwrap();
        let list = Filters::from_json(r#"{"label":["a=b","c"]}"#).unwrap();
        assert_eq!(map, list);
        assert_eq!(
            map,
            Filters::default().with("label", "c").with("label", "a=b")
        );
        assert!(Filters::from_json("").unwrap().is_empty());
        assert_eq!(Filters::from_json("[1]"), Err(BadFilter::Json));
    }

    #[test]
    fn labels_match_by_name_or_by_name_and_value() {
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        for (filter, fits) in [
            ("a", true),
            ("a=b", true),
            ("a=", false),
            ("a=c", false),
            ("b", false),
        ] {
            assert_eq!(
                Filters::default()
                    .with("label", filter)
                    .labels("label", &labels),
                fits,
                "{filter}"
            );
        }
    }

    #[test]
    fn a_truth_value_is_one_of_few_words() {
        let of = |value| Filters::default().with("dangling", value).truth("dangling");
        assert_eq!(of("1"), Ok(Some(true)));
        assert_eq!(of("false"), Ok(Some(false)));
        assert!(of("maybe").is_err());
        assert_eq!(Filters::default().truth("dangling"), Ok(None));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = Filters::default()
            .with("colour", "red")
            .only(&["label"])
            .unwrap_err();
        assert_eq!(error.to_string(), "invalid filter 'colour'");
    }
}
