//! User namespaces: which ids of the host a container with one of its own has.
//!
//! Docker has one map for its whole daemon; here a container asks for a range of its own by `--userns auto`, a word of
//! Podman's. Ranges come from `/etc/subuid` where it grants some to the engine, and from above everything that
//! distributions give out where it does not.

use std::{collections::BTreeMap, fs};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, id::Id};

/// How many ids a container has unless it says otherwise: what Linux file systems and images expect.
const SIZE: u32 = 65536;

/// Where nothing is granted: 4,000 ranges that systemd, `useradd` and Kubernetes leave alone, still positive for
/// programs that take ids for signed numbers.
const HIGH: IdRange = IdRange {
    first: 0x7000_0000,
    size: 0x0fa0_0000,
};

/// Who is granted ids: the engine itself, and what Podman's `auto` calls all containers.
const OWNERS: [&str; 2] = ["proa", "containers"];

/// Some ids of the host, for users and for groups; the first is the container's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdRange {
    pub(crate) first: u32,
    pub(crate) size: u32,
}

impl IdRange {
    fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.size)
    }

    fn overlaps(self, other: Self) -> bool {
        u64::from(self.first) < other.end() && u64::from(other.first) < self.end()
    }
}

/// How many ids of its own `--userns` asks for; `None`: it is in the host's user namespace.
pub(crate) fn wanted(mode: &str) -> Result<Option<u32>> {
    let invalid = || Error::bad(format!("invalid USER mode: {mode}"));
    match mode.split_once(':') {
        None => match mode {
            "" | "host" => Ok(None),
            "auto" | "private" => Ok(Some(SIZE)),
            _ => Err(invalid()),
        },
        Some(("auto", options)) => {
            let size = options.strip_prefix("size=").ok_or_else(invalid)?;
            let size: u32 = size.parse().map_err(|_| invalid())?;
            if size == 0 || size > HIGH.size {
                return Err(invalid());
            }
            Ok(Some(size))
        }
        Some(_) => Err(invalid()),
    }
}

/// The ids that `/etc/subuid` and `/etc/subgid` both grant.
pub(crate) fn granted() -> Vec<IdRange> {
    let read = |path: &str| ranges(&fs::read_to_string(path).unwrap_or_default());
    let groups = read("/etc/subgid");
    let mut granted = read("/etc/subuid");
    granted.retain(|range| groups.contains(range));
    if granted.is_empty() {
        granted.push(HIGH);
    }
    granted
}

/// Lines of `subuid(5)`: `owner:first:count`.
fn ranges(text: &str) -> Vec<IdRange> {
    let range = |line: &str| {
        let mut parts = line.trim().split(':');
        let owner = parts.next()?;
        let first = parts.next()?.parse().ok()?;
        let size = parts.next()?.parse().ok()?;
        OWNERS
            .contains(&owner)
            .then_some(IdRange { first, size })
            .filter(|range| u32::try_from(range.end()).is_ok())
    };
    text.lines().filter_map(range).collect()
}

/// A range that nobody has, from what is granted.
pub(crate) fn pick(
    size: u32,
    granted: &[IdRange],
    taken: &BTreeMap<Id, IdRange>,
) -> Result<IdRange> {
    let free = |range: &IdRange| !taken.values().any(|other| other.overlaps(*range));
    let within = |pool: &IdRange| {
        let ends = taken.values().map(|range| range.end());
        let mut starts: Vec<u64> = std::iter::once(u64::from(pool.first)).chain(ends).collect();
        starts.sort_unstable();
        let fitting = starts.into_iter().filter(|first| {
            *first >= u64::from(pool.first) && first + u64::from(size) <= pool.end()
        });
        fitting
            .filter_map(|first| u32::try_from(first).ok())
            .map(|first| IdRange { first, size })
            .find(free)
    };
    granted.iter().find_map(within).ok_or_else(|| {
        Error::new(crate::Kind::Unavailable, format!(
            "no {size} ids are left for a user namespace: grant more to \"proa\" in /etc/subuid and /etc/subgid"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u32, size: u32) -> IdRange {
        IdRange { first, size }
    }

    #[test]
    fn modes_are_podmans_and_dockers() {
        for (mode, expected) in [
            ("", Some(None)),
            ("host", Some(None)),
            ("auto", Some(Some(65536))),
            ("private", Some(Some(65536))),
            ("auto:size=1000", Some(Some(1000))),
            ("auto:size=0", None),
            ("auto:uidmapping=0:1:2", None),
            ("keep-id", None),
            ("container:x", None),
        ] {
            assert_eq!(wanted(mode).ok(), expected, "{mode}");
        }
    }

    #[test]
    fn ids_come_from_what_is_granted_and_is_free() {
        let text = "me:100000:65536\nproa:300000:2000\ncontainers:500000:1000\nproa:x:1\nproa:4294967295:9\n";
        let granted = ranges(text);
        assert_eq!(granted, [range(300_000, 2000), range(500_000, 1000)]);
        let mut taken = BTreeMap::new();
        let mut firsts = Vec::new();
        for number in 0..3 {
            let picked = pick(1000, &granted, &taken).unwrap();
            firsts.push(picked.first);
            taken.insert(format!("{number:064x}").parse().unwrap(), picked);
        }
        assert_eq!(firsts, [300_000, 301_000, 500_000]);
        assert!(pick(1000, &granted, &taken).is_err());
        taken.remove(&format!("{:064x}", 1).parse::<Id>().unwrap());
        assert_eq!(pick(600, &granted, &taken).unwrap(), range(301_000, 600));
    }
}
