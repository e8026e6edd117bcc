//! Names of containers: what is allowed, and a random one for those that were given none.

use crate::{Error, Result, id};

const ADJECTIVES: &[&str] = &[
    "agile", "amber", "ample", "azure", "balmy", "bold", "brave", "breezy", "bright", "brisk",
    "calm", "candid", "clear", "clever", "coral", "crisp", "deft", "eager", "early", "easy",
    "fair", "fleet", "fond", "fresh", "gentle", "glad", "golden", "grand", "happy", "hardy",
    "honest", "jolly", "keen", "kind", "lively", "loyal", "lucid", "lucky", "mellow", "merry",
    "mighty", "modest", "neat", "nimble", "noble", "patient", "placid", "polite", "proud", "quick",
    "quiet", "ready", "robust", "rosy", "serene", "sharp", "silver", "sleek", "smooth", "snug",
    "sober", "solid", "spry", "steady", "sunny", "sure", "swift", "tidy", "trim", "vivid", "warm",
    "witty", "zesty",
];

const NOUNS: &[&str] = &[
    "albatross",
    "anchor",
    "atoll",
    "bay",
    "beacon",
    "boom",
    "bowline",
    "breeze",
    "buoy",
    "canoe",
    "cape",
    "capstan",
    "catamaran",
    "clipper",
    "compass",
    "cormorant",
    "cove",
    "current",
    "cutter",
    "dinghy",
    "dolphin",
    "estuary",
    "fjord",
    "foam",
    "frigate",
    "gannet",
    "gull",
    "halyard",
    "harbour",
    "helm",
    "heron",
    "hull",
    "inlet",
    "island",
    "jetty",
    "junk",
    "kayak",
    "keel",
    "ketch",
    "lagoon",
    "lantern",
    "lugger",
    "mainsail",
    "mast",
    "mizzen",
    "mooring",
    "oar",
    "osprey",
    "outrigger",
    "paddle",
    "pearl",
    "pelican",
    "petrel",
    "pier",
    "prow",
    "puffin",
    "quay",
    "raft",
    "reef",
    "rigging",
    "rudder",
    "schooner",
    "sextant",
    "skiff",
    "sloop",
    "spar",
    "starboard",
    "strait",
    "tern",
    "tide",
    "tiller",
    "topsail",
    "trawler",
    "voyage",
    "wake",
    "wave",
    "wharf",
    "yawl",
];

/// A random name; from the third try on with a digit, so that a full house still finds one.
pub(crate) fn random(attempt: u32) -> std::io::Result<String> {
    let hex = id::random_hex()?;
    let number = |digits: &str| usize::from_str_radix(digits, 16).unwrap_or(0);
    let adjective = ADJECTIVES[number(&hex[0..8]) % ADJECTIVES.len()];
    let noun = NOUNS[number(&hex[8..16]) % NOUNS.len()];
    Ok(match attempt {
        0..2 => format!("{adjective}_{noun}"),
        _ => format!(
            "{adjective}_{noun}{}",
            number(&hex[16..20]) % 10_u32.saturating_pow(attempt.min(4)) as usize
        ),
    })
}

/// A name as asked for, without the slash clients may put in front.
pub(crate) fn check(asked: &str) -> Result<&str> {
    let name = asked.strip_prefix('/').unwrap_or(asked);
    let first = |c: char| c.is_ascii_alphanumeric();
    let later = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    // Docker's pattern wants at least two characters.
    if name.len() >= 2 && name.starts_with(first) && name.chars().all(later) {
        return Ok(name);
    }
    Err(Error::bad(format!(
        "Invalid container name ({asked}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_dockers_pattern() {
        assert_eq!(check("/web").unwrap(), "web");
        assert_eq!(check("a.b-c_1").unwrap(), "a.b-c_1");
        for wrong in ["", "a", "-web", "we b", "web/1", "ünder"] {
            let told = check(wrong).unwrap_err().told();
            assert_eq!(
                told,
                format!(
                    "Invalid container name ({wrong}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
                )
            );
        }
    }

    #[test]
    fn random_names_are_valid_names() {
        for attempt in 0..6 {
            assert!(check(&random(attempt).unwrap()).is_ok());
        }
    }
}
