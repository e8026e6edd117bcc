//! The host's folders that the machine sees, each at the same path.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One shared folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedFolder {
    /// Where it is, here and in the machine.
    pub path: PathBuf,
    /// Whether the machine may only read.
    #[serde(default)]
    pub readonly: bool,
}

/// The home folder, and where tools put files to bind: `/tmp`.
pub(super) fn usual() -> Vec<SharedFolder> {
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
    home.into_iter()
        .chain([PathBuf::from("/tmp")])
        .filter(|path| path.is_dir())
        .map(|path| SharedFolder {
            path,
            readonly: false,
        })
        .collect()
}

/// The folder that would have to be shared for `path` to be seen in the machine; none where it is seen.
///
/// Both the path as it is said and the one that links lead to must lie in a share: the machine follows the same links.
pub fn missing_for(path: &Path, shares: &[SharedFolder]) -> Option<PathBuf> {
    let said = tidied(path);
    let meant = resolved(&said);
    [said, meant].into_iter().find(|path| {
        !shares
            .iter()
            .any(|share| path.starts_with(tidied(&share.path)))
    })
}

/// Without `.` and `..`, which must not lead out of a share.
pub fn tidied(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(tidied.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => tidied.push(part),
        }
    }
    tidied
}

/// Where links lead, as far as the path exists; the rest may be made later.
fn resolved(path: &Path) -> PathBuf {
    for existing in path.ancestors() {
        if let Ok(real) = existing.canonicalize() {
            let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            };
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_share_is_seen_and_links_are_followed() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let top = scratch.path().canonicalize().expect("it exists");
        let (inside, outside) = (top.join("in side,é"), top.join("outside"));
        for folder in [&inside, &outside] {
            std::fs::create_dir(folder).expect("it is ours");
        }
        std::os::unix::fs::symlink(&outside, inside.join("link")).expect("it is ours");
        let shares = [SharedFolder {
            path: inside.clone(),
            readonly: false,
        }];
        let missing = |path: PathBuf| missing_for(&path, &shares);
        assert_eq!(missing(inside.clone()), None);
        assert_eq!(missing(inside.join("not/yet/there")), None);
        assert_eq!(missing(outside.clone()), Some(outside.clone()));
        assert_eq!(missing(inside.join("../outside")), Some(outside.clone()));
        assert_eq!(missing(inside.join("link/x")), Some(outside.join("x")));
        assert_eq!(
            missing(top.join("in side,éx")),
            Some(top.join("in side,éx"))
        );
    }
}
