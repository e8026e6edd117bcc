//! Labels and variables that go along with each entry.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::texts::Texts;
use super::{About, BadLogOption, tag};

/// What `labels`, `labels-regex`, `env` and `env-regex` choose.
pub(super) fn extra(
    options: &Texts,
    about: &About<'_>,
) -> Result<BTreeMap<String, String>, BadLogOption> {
    let mut chosen = BTreeMap::new();
    let labels: Vec<(&str, &str)> = about
        .labels
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    let env: Vec<(&str, &str)> = about
        .env
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .collect();
    for (kind, pairs) in [("labels", labels), ("env", env)] {
        let names: Vec<&str> = options
            .get(kind)
            .map_or(Vec::new(), |names| names.split(',').collect());
        let regex = match options
            .get(&format!("{kind}-regex"))
            .filter(|text| !text.is_empty())
        {
            Some(text) => {
                Some(Regex::new(text).map_err(|error| BadLogOption::value(error.to_string()))?)
            }
            None => None,
        };
        for (name, value) in pairs {
            if names.contains(&name) || regex.as_ref().is_some_and(|regex| regex.is_match(name)) {
                chosen.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    Ok(chosen)
}

/// The same for `json-file`, which has a tag only where one is asked for.
pub(super) fn attributes(
    options: &Texts,
    about: &About<'_>,
) -> Result<Vec<(String, String)>, BadLogOption> {
    let mut chosen = extra(options, about)?;
    if let Some(template) = options.get("tag").filter(|tag| !tag.is_empty()) {
        chosen.insert("tag".to_owned(), tag::expand(template, about)?);
    }
    Ok(chosen.into_iter().collect())
}

/// The first twelve digits of an id.
pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// A name the journal takes: capitals, digits and underscores, which do not come first.
pub(super) fn journal_name(name: &str) -> Option<String> {
    let letters = name.to_ascii_uppercase();
    let name: String = letters
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let name = name.trim_start_matches('_');
    (!name.is_empty()).then(|| name.to_owned())
}
