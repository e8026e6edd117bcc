//! A JSON document that only holds what was said.

use serde::Serialize;
use serde_json::{Map, Value};

/// A document under construction.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Document(Map<String, Value>);

impl Document {
    /// Adds a field, unless its value says nothing: null, false, 0, or empty.
    pub(crate) fn put(&mut self, name: &str, value: impl Serialize) -> &mut Self {
        let value = plain(value);
        let says_nothing = match &value {
            Value::Null | Value::Bool(false) => true,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(true) => false,
        };
        if says_nothing {
            self
        } else {
            self.always(name, value)
        }
    }

    /// Adds a field whatever its value.
    pub(crate) fn always(&mut self, name: &str, value: impl Serialize) -> &mut Self {
        self.0.insert(name.to_owned(), plain(value));
        self
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

impl Serialize for Document {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Texts, numbers, lists and maps with text keys always become JSON.
fn plain(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_left_out() {
        let mut document = Document::default();
        document
            .put("A", "")
            .put("B", 0)
            .put("C", false)
            .put("D", None::<i64>)
            .put("E", 5)
            .put("F", Some(-1))
            .always("G", false);
        assert_eq!(
            document.into_value(),
            serde_json::json!({"E": 5, "F": -1, "G": false})
        );
    }
}
