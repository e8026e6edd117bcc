//! `--format` of the listing verbs: a table, JSON lines, or a template per row.

use serde_json::{Map, Value};

use super::table;
use crate::failure::Failure;
use crate::template::{Template, compact_json};

/// One row: Docker's field names and their texts.
pub(crate) type Row = Map<String, Value>;

/// A list that can be shown in any format.
pub(crate) struct Listing {
    /// The table that is shown unless another is asked for: a template.
    pub(crate) table: String,
    /// Fields and the headings their columns get.
    pub(crate) headings: &'static [(&'static str, &'static str)],
    pub(crate) rows: Vec<Row>,
}

/// Makes a row of pairs.
pub(crate) fn row<const N: usize>(pairs: [(&str, String); N]) -> Row {
    pairs
        .into_iter()
        .map(|(field, text)| (field.to_owned(), Value::String(text)))
        .collect()
}

impl Listing {
    /// The text for `--format`; `None` is the table.
    pub(crate) fn shown(&self, format: Option<&str>) -> Result<String, Failure> {
        let format = unescaped(format.unwrap_or("table"));
        match format.trim() {
            "table" => self.as_table(&self.table),
            "json" => Ok(self
                .rows
                .iter()
                .map(|row| compact_json(&Value::Object(row.clone())) + "\n")
                .collect()),
            _ => match format.strip_prefix("table ") {
                Some(template) => self.as_table(template.trim()),
                None => self.as_lines(&format),
            },
        }
    }

    fn as_table(&self, template: &str) -> Result<String, Failure> {
        let template = Template::parse(template)?;
        let headings = self
            .headings
            .iter()
            .map(|(field, heading)| ((*field).to_owned(), Value::from(*heading)));
        let mut lines = vec![template.render(&Value::Object(headings.collect()))?];
        for row in &self.rows {
            lines.push(template.render(&Value::Object(row.clone()))?);
        }
        Ok(table::aligned(&lines))
    }

    fn as_lines(&self, format: &str) -> Result<String, Failure> {
        let template = Template::parse(format)?;
        let mut text = String::new();
        for row in &self.rows {
            text.push_str(&template.render(&Value::Object(row.clone()))?);
            text.push('\n');
        }
        Ok(text)
    }
}

/// Docker lets a shell user write `\t` and `\n` in a format.
pub(crate) fn unescaped(format: &str) -> String {
    format.replace("\\t", "\t").replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: Option<&str>, expected: &str) {
        let listing = Listing {
            table: "{{.ID}}\t{{.Name}}".to_owned(),
            headings: &[("ID", "THING ID"), ("Name", "NAME")],
            rows: vec![row([("ID", "1".to_owned()), ("Name", "a".to_owned())])],
        };
        let shown = listing
            .shown(format)
            .unwrap_or_else(|failure| format!("error: {failure}"));
        assert_eq!(shown, expected);
    }

    #[test]
    fn each_format_has_its_shape() {
        check(None, "THING ID   NAME\n1          a\n");
        check(Some("table {{.Name}}"), "NAME\na\n");
        check(Some("json"), "{\"ID\":\"1\",\"Name\":\"a\"}\n");
        check(Some("{{.Name}}\\t{{.ID}}"), "a\t1\n");
        check(Some("{{json .Name}}"), "\"a\"\n");
        check(
            Some("{{.Other}}"),
            "error: template: .Other: there is no field \"Other\"",
        );
    }
}
