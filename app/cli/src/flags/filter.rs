//! `--filter key=value`, as many as there are, to the engine's JSON.

use std::collections::BTreeMap;

use crate::failure::Failure;

/// The `filters` query of some filters; none when there are none.
pub(crate) fn query(filters: &[String]) -> Result<Option<String>, Failure> {
    let mut map: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for filter in filters {
        let Some((key, value)) = filter.split_once('=') else {
            return Err(Failure::usage(format!(
                "invalid filter {filter:?}: expected name=value"
            )));
        };
        map.entry(key.trim().to_ascii_lowercase())
            .or_default()
            .push(value.trim());
    }
    Ok((!map.is_empty()).then(|| serde_json::json!(map).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_key_are_gathered() {
        let filters = ["label=a=b", "Status=exited", "status=dead"].map(str::to_owned);
        let expected = r#"{"label":["a=b"],"status":["exited","dead"]}"#;
        assert_eq!(query(&filters).ok().flatten().as_deref(), Some(expected));
        assert!(matches!(query(&[]), Ok(None)));
        assert!(query(&["x".to_owned()]).is_err());
    }
}
