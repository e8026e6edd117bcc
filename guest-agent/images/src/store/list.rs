//! Listing images with Docker's filters.

use std::collections::HashMap;

use super::find::find;
use super::{State, Store};
use crate::digest::DiffId;
use crate::error::Error;
use crate::image::{Filters, Image, Summary};
use crate::reference::Reference;

impl Store {
    /// All images that match, newest first. `all` shows untagged images that others were made from too.
    pub fn list(&self, filters: &Filters, all: bool) -> Result<Vec<Summary>, Error> {
        filters.check()?;
        let state = self.state();
        let users = users(&state);
        let mut found = Vec::new();
        for known in state.visible() {
            let Some(mut image) = state.image(&known.row.id) else {
                continue;
            };
            if !filters.take(&state, &mut image, all)? {
                continue;
            }
            let shared = image
                .layers()
                .iter()
                .filter(|diff| users.get(diff).is_some_and(|count| *count > 1));
            let shared_size = shared
                .filter_map(|diff| state.layers.get(diff))
                .map(|layer| layer.size)
                .sum();
            found.push(Summary { image, shared_size });
        }
        found.sort_by(|a, b| {
            let key = |s: &Summary| (std::cmp::Reverse(s.image.created()), s.image.id().clone());
            key(a).cmp(&key(b))
        });
        Ok(found)
    }

    /// Bytes of all layers, each counted once.
    pub fn layers_size(&self) -> u64 {
        self.state().layers.values().map(|layer| layer.size).sum()
    }
}

/// How many images have a layer.
fn users(state: &State) -> HashMap<&DiffId, usize> {
    let mut users = HashMap::new();
    for known in state.visible() {
        let mut diffs: Vec<&DiffId> = known.record.config.rootfs.diff_ids.iter().collect();
        diffs.sort();
        diffs.dedup();
        for diff in diffs {
            *users.entry(diff).or_default() += 1;
        }
    }
    users
}

const KNOWN: [&str; 7] = [
    "dangling",
    "label",
    "label!",
    "before",
    "since",
    "until",
    "reference",
];

impl Filters {
    fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn without(&self, key: &str) -> Self {
        Self(self.0.iter().filter(|(k, _)| k != key).cloned().collect())
    }

    fn check(&self) -> Result<(), Error> {
        match self
            .0
            .iter()
            .find(|(key, _)| !KNOWN.contains(&key.as_str()))
        {
            Some((key, _)) => Err(Error::BadParameter(format!("invalid filter '{key}'"))),
            None => Ok(()),
        }
    }

    /// What `dangling` asks for.
    pub(crate) fn dangling(&self) -> Result<Option<bool>, Error> {
        let mut wanted = None;
        for value in self.all("dangling") {
            wanted = Some(match value {
                "1" | "true" | "True" | "TRUE" | "t" | "T" => true,
                "0" | "false" | "False" | "FALSE" | "f" | "F" => false,
                other => {
                    return Err(Error::BadParameter(format!(
                        "invalid filter 'dangling=[{other}]'"
                    )));
                }
            });
        }
        Ok(wanted)
    }

    /// Whether an image is to be shown; leaves it the names that matched.
    fn take(&self, state: &State, image: &mut Image, all: bool) -> Result<bool, Error> {
        let created = image.created();
        for name in self.all("before") {
            if created >= created_of(state, name)? {
                return Ok(false);
            }
        }
        for name in self.all("since") {
            if created <= created_of(state, name)? {
                return Ok(false);
            }
        }
        for time in self.all("until") {
            if created >= moment(time)? {
                return Ok(false);
            }
        }
        let labels = &image.config().config.labels;
        let has = |wanted: &str| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|v| v == value),
            None => labels.contains_key(wanted),
        };
        if !self.all("label").all(has) || self.all("label!").any(has) {
            return Ok(false);
        }
        if self.all("reference").next().is_some() {
            image
                .tags
                .retain(|name| self.all("reference").any(|pattern| matches(pattern, name)));
            image
                .digests
                .retain(|name| self.all("reference").any(|pattern| matches(pattern, name)));
            if image.tags.is_empty() && image.digests.is_empty() {
                return Ok(false);
            }
        }
        let dangling = self.dangling()?;
        if image.tags.is_empty() && image.digests.is_empty() {
            return Ok(dangling != Some(false) && (all || state.children_of(image.id()) == 0));
        }
        Ok(dangling.is_none_or(|wanted| wanted == image.tags.is_empty()))
    }
}

fn created_of(state: &State, name: &str) -> Result<i64, Error> {
    let id = find(state, name)?;
    Ok(state.image(&id).map_or(0, |image| image.created()))
}

/// A point in time: seconds since 1970, RFC 3339, a date, or how long ago (`10m`, `1h30m`).
fn moment(text: &str) -> Result<i64, Error> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_second());
    }
    if let Some(seconds) = text
        .split('.')
        .next()
        .and_then(|seconds| seconds.parse::<i64>().ok())
    {
        return Ok(seconds);
    }
    if let Ok(date) = text.parse::<jiff::civil::DateTime>()
        && let Ok(time) = date.to_zoned(jiff::tz::TimeZone::UTC)
    {
        return Ok(time.timestamp().as_second());
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && let Ok(time) = date.to_zoned(jiff::tz::TimeZone::UTC)
    {
        return Ok(time.timestamp().as_second());
    }
    let ago = duration(text)
        .ok_or_else(|| Error::BadParameter(format!("invalid filter 'until=[{text}]'")))?;
    Ok(jiff::Timestamp::now().as_second() - ago)
}

/// Seconds of Go's `1h30m`.
fn duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let after = &rest[end..];
        let unit_end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        seconds += number
            * match &after[..unit_end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = &after[unit_end..];
    }
    (!text.is_empty()).then_some(seconds as i64)
}

/// A shell pattern against a name's short form, with or without its tag.
fn matches(pattern: &str, name: &Reference) -> bool {
    glob(pattern.as_bytes(), name.familiar().as_bytes())
        || glob(pattern.as_bytes(), name.familiar_name().as_bytes())
}

/// Go's `path.Match`: `*` and `?` do not match a slash.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            glob(rest, text)
                || matches!(text, [first, more @ ..] if *first != b'/' && glob(pattern, more))
        }
        ([b'?', rest @ ..], [first, more @ ..]) => *first != b'/' && glob(rest, more),
        ([b'[', set @ ..], [first, more @ ..]) => {
            let Some(end) = set.iter().skip(1).position(|b| *b == b']').map(|at| at + 1) else {
                return false;
            };
            let (negated, members) = match &set[..end] {
                [b'^', members @ ..] => (true, members),
                members => (false, members),
            };
            in_set(members, *first) != negated && *first != b'/' && glob(&set[end + 1..], more)
        }
        ([b'\\', wanted, rest @ ..] | [wanted, rest @ ..], [first, more @ ..]) => {
            wanted == first && glob(rest, more)
        }
        _ => false,
    }
}

fn in_set(members: &[u8], byte: u8) -> bool {
    match members {
        [low, b'-', high, rest @ ..] => (*low..=*high).contains(&byte) || in_set(rest, byte),
        [one, rest @ ..] => *one == byte || in_set(rest, byte),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, text: &str, want: bool| {
            assert_eq!(
                glob(pattern.as_bytes(), text.as_bytes()),
                want,
                "{pattern} {text}"
            );
        };
        check("alpine", "alpine", true);
        check("al*", "alpine", true);
        check("*", "a/b", false);
        check("*/*", "a/b", true);
        check("a?pine:3.[0-9]", "alpine:3.2", true);
        check("[^b]lpine", "alpine", true);
        check("[", "a", false);
        check("a\\*", "a*", true);
    }

    #[test]
    fn moments() {
        assert_eq!(moment("100").unwrap(), 100);
        assert_eq!(moment("1970-01-02").unwrap(), 86_400);
        assert_eq!(moment("1970-01-01T00:01:00").unwrap(), 60);
        assert_eq!(duration("1h30m"), Some(5400));
        assert!(moment("soon").is_err());
    }
}
