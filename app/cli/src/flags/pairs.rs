//! `key=value` lists, and files of them.

use std::collections::BTreeMap;

use crate::failure::Failure;

/// `key=value` to a map; a key alone has an empty value.
pub(crate) fn map(pairs: &[String]) -> BTreeMap<String, String> {
    let split = |pair: &String| match pair.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (pair.clone(), String::new()),
    };
    pairs.iter().map(split).collect()
}

/// `key=value` to a map, refusing what lacks a value.
pub(crate) fn strict(flag: &str, pairs: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    match pairs.iter().find(|pair| !pair.contains('=')) {
        Some(pair) => Err(Failure::usage(format!(
            "invalid --{flag} {pair:?}: expected key=value"
        ))),
        None => Ok(map(pairs)),
    }
}

/// The lines of a file of variables or labels, without blank lines and remarks.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Gives variables without a value the one they have here. Those that are not set here stay bare, which takes the
/// image's away.
pub(crate) fn environment(
    variables: Vec<String>,
    here: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, Failure> {
    let mut environment = Vec::new();
    for variable in variables {
        let name = variable.split('=').next().unwrap_or_default();
        if name.is_empty() {
            return Err(Failure::usage(format!(
                "invalid environment variable: {variable:?}"
            )));
        }
        match here(name).filter(|_| !variable.contains('=')) {
            Some(value) => environment.push(format!("{name}={value}")),
            None => environment.push(variable),
        }
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_without_a_value_take_the_one_from_here() {
        let given = ["A=1", "B", "C", "D="].map(str::to_owned).to_vec();
        let here = |name: &str| (name == "B").then(|| "two".to_owned());
        assert_eq!(
            environment(given, &here).ok(),
            Some(["A=1", "B=two", "C", "D="].map(str::to_owned).to_vec())
        );
        assert!(environment(vec!["=x".to_owned()], &here).is_err());
    }

    #[test]
    fn files_may_hold_remarks_and_blank_lines() {
        assert_eq!(
            lines("\u{feff}# x\n\n A=1 \nB\n").collect::<Vec<_>>(),
            ["A=1 ", "B"]
        );
    }
}
