//! The names of our interfaces on the host: they tell what is ours, and a kernel's name has at most 15 bytes.

use std::hash::{BuildHasher, RandomState};

/// The kernel's `IFNAMSIZ` without the final zero.
const LONGEST: usize = 15;

/// Whose name an interface's is.
#[derive(Clone, Debug)]
pub(crate) struct Interfaces {
    prefix: String,
}

impl Interfaces {
    /// Names that begin with `prefix`.
    pub(crate) fn new(prefix: &str) -> Interfaces {
        Interfaces {
            prefix: prefix.to_owned(),
        }
    }

    /// The bridge, or the parent, of a network: the prefix, a dash, and as much of its id as fits.
    pub(crate) fn of_network(&self, id: &str) -> String {
        fill(format!("{}-", self.prefix), id)
    }

    /// The other end of a parent that had to be made.
    pub(crate) fn of_counterpart(&self, id: &str) -> String {
        fill(format!("{}+", self.prefix), id)
    }

    /// A new one for the host's end of a veth pair. Whoever meets one that is there already tries again.
    pub(crate) fn of_veth(&self) -> String {
        // A new random state is a new random number, without a crate for it.
        let random = RandomState::new().hash_one(&self.prefix);
        fill(format!("{}_", self.prefix), &format!("{random:016x}"))
    }

    /// Whether a name is a network's.
    pub(crate) fn is_network(&self, name: &str) -> bool {
        self.is_ours(name, '-')
    }

    /// Whether a name is that of a parent's other end.
    pub(crate) fn is_counterpart(&self, name: &str) -> bool {
        self.is_ours(name, '+')
    }

    /// Whether a name is one end of a veth pair of ours.
    pub(crate) fn is_veth(&self, name: &str) -> bool {
        self.is_ours(name, '_')
    }

    fn is_ours(&self, name: &str, mark: char) -> bool {
        let rest = name
            .strip_prefix(self.prefix.as_str())
            .and_then(|rest| rest.strip_prefix(mark));
        name.len() == LONGEST
            && rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }
}

fn fill(mut name: String, digits: &str) -> String {
    let room = LONGEST.saturating_sub(name.len()).min(digits.len());
    name.push_str(digits.get(..room).unwrap_or_default());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_are_told_apart() {
        let names = Interfaces::new("pr");
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(names.of_network(&id), "pr-0123456789ab");
        assert!(names.is_network("pr-0123456789ab"));
        assert!(!names.is_network("pr-0123"));
        assert!(!names.is_network("pr_0123456789ab"));
        let veth = names.of_veth();
        assert!(names.is_veth(&veth), "{veth}");
        assert_ne!(veth, names.of_veth());
        assert!(!Interfaces::new("px").is_veth(&veth));
    }
}
