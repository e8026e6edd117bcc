//! One line of comma-separated values with quotes, as `--mount` takes it.

/// The fields of a line; a field may be quoted, and a quote inside is doubled.
pub(crate) fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_field(quoted, text)?
        } else {
            bare_field(rest)
        };
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// The fields of a line as `key` and `value`; a field without `=` has no value.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let split = |field: String| match field.split_once('=') {
        Some((key, value)) => (key.to_ascii_lowercase(), Some(value.to_owned())),
        None => (field.to_ascii_lowercase(), None),
    };
    Ok(fields(text)?.into_iter().map(split).collect())
}

fn bare_field(text: &str) -> (String, Option<&str>) {
    match text.split_once(',') {
        Some((field, rest)) => (field.to_owned(), Some(rest)),
        None => (text.to_owned(), None),
    }
}

fn quoted_field<'a>(mut text: &'a str, whole: &str) -> Result<(String, Option<&'a str>), String> {
    let mut field = String::new();
    loop {
        let Some((part, after)) = text.split_once('"') else {
            return Err(format!("unclosed quote in {whole:?}"));
        };
        field.push_str(part);
        match after.chars().next() {
            Some('"') => {
                field.push('"');
                text = &after[1..];
            }
            Some(',') => return Ok((field, Some(&after[1..]))),
            None => return Ok((field, None)),
            Some(_) => return Err(format!("text after a closing quote in {whole:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_protect_commas() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(
                fields(text),
                Ok(expected.iter().map(|f| (*f).to_owned()).collect())
            );
        };
        check("a,b=c", &["a", "b=c"]);
        check("\"a,b\",c", &["a,b", "c"]);
        check("\"a\"\"b\"", &["a\"b"]);
        check("a,", &["a", ""]);
        assert!(fields("\"a").is_err() && fields("\"a\"b").is_err());
    }
}
