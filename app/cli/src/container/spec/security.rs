//! `--security-opt`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Surroundings;
use crate::failure::Failure;

/// Security options as the engine takes them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) list: Vec<String>,
    /// `systempaths=unconfined`: nothing of /proc and /sys is masked.
    pub(super) bare_system_paths: bool,
}

/// Reads the options; a seccomp profile is a file of this side, whose text is sent.
pub(super) fn options(given: &[String], around: &Surroundings<'_>) -> Result<Options, Failure> {
    let mut options = Options::default();
    for text in given {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, value),
            // The old form.
            None => text.split_once(':').unwrap_or((text.as_str(), "")),
        };
        match (key, value) {
            ("systempaths", "unconfined") => options.bare_system_paths = true,
            ("no-new-privileges", _) => options.list.push(text.clone()),
            (_, "") => return Err(Failure::usage(format!("invalid --security-opt {text:?}"))),
            ("seccomp", "unconfined" | "builtin") => options.list.push(format!("seccomp={value}")),
            ("seccomp", file) => options
                .list
                .push(format!("seccomp={}", profile(file, around)?)),
            _ => options.list.push(format!("{key}={value}")),
        }
    }
    Ok(options)
}

/// Capabilities to add and to drop, spelled in full; `ALL` stands for every other, and adding wins.
pub(super) fn capabilities(
    add: &[String],
    drop: &[String],
) -> (BTreeSet<String>, BTreeSet<String>) {
    let add = spelled(add);
    let drop = spelled(drop)
        .into_iter()
        .filter(|name| name == ALL || !add.contains(name))
        .collect();
    (add, drop)
}

const ALL: &str = "ALL";

fn spelled(names: &[String]) -> BTreeSet<String> {
    let names: BTreeSet<_> = names
        .iter()
        .map(|name| match name.to_ascii_uppercase() {
            name if name == ALL || name.starts_with("CAP_") => name,
            name => format!("CAP_{name}"),
        })
        .collect();
    if names.contains(ALL) {
        BTreeSet::from([ALL.to_owned()])
    } else {
        names
    }
}

fn profile(file: &str, around: &Surroundings<'_>) -> Result<String, Failure> {
    let text = around.file(file)?;
    let profile: Value = serde_json::from_str(&text).map_err(|error| {
        Failure::io(
            format!("understand the seccomp profile {file}"),
            std::io::Error::other(error),
        )
    })?;
    Ok(profile.to_string())
}
