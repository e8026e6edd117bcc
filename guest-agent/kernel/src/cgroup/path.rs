//! Where a cgroup sits: a path relative to the engine's base.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A cgroup's place under the base of the hierarchy: `proa/<id>`, never absolute, never with `.` or `..`.
///
/// A leading `/` of what a user writes (`--cgroup-parent /build`) means the base, as the base is the top of what
/// this process may touch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CgroupPath(String);

/// A text that is no cgroup path.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("bad cgroup path {path:?}: {why}")]
pub struct BadCgroupPath {
    path: String,
    why: &'static str,
}

impl CgroupPath {
    /// The cgroup called `name` beneath this one.
    pub fn join(&self, name: &str) -> Result<Self, BadCgroupPath> {
        Self::from_str(&format!("{}/{name}", self.0))
    }

    /// The path without its last part; `None` for a cgroup directly beneath the base.
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The relative path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Every cgroup from the top down to this one, itself included.
    pub(super) fn levels(&self) -> impl Iterator<Item = &str> {
        let ends = self
            .0
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([self.0.len()]);
        ends.map(|end| &self.0[..end])
    }
}

impl FromStr for CgroupPath {
    type Err = BadCgroupPath;

    fn from_str(text: &str) -> Result<Self, BadCgroupPath> {
        let bad = |why| {
            Err(BadCgroupPath {
                path: text.to_owned(),
                why,
            })
        };
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return bad("it is empty");
        }
        for part in &parts {
            if matches!(*part, "." | "..") {
                return bad("`.` and `..` are not allowed");
            }
            if part.len() > 255 {
                return bad("a part is longer than 255 bytes");
            }
            if part.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
                return bad("it has a control character");
            }
        }
        Ok(Self(parts.join("/")))
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<Path> for CgroupPath {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let parsed = CgroupPath::from_str(text);
        assert_eq!(
            parsed.map_or_else(|bad| bad.why.to_owned(), |path| path.0),
            expected,
            "{text}"
        );
    }

    #[test]
    fn a_path_is_relative_and_without_dots() {
        check("/build//job", "build/job");
        check("proa", "proa");
        check("/", "it is empty");
        check("a/../b", "`.` and `..` are not allowed");
        check("a\nb", "it has a control character");
    }

    #[test]
    fn levels_go_from_the_top_down() {
        let path: CgroupPath = "a/b/c".parse().unwrap();
        assert_eq!(path.levels().collect::<Vec<_>>(), ["a", "a/b", "a/b/c"]);
        assert_eq!(path.parent().unwrap().as_str(), "a/b");
        assert_eq!(path.name(), "c");
    }
}
