//! The words of a mount's option list and what each means.

use proa_kernel::mount::{attribute, propagation};

use super::PlanError;

/// Words that change how the mount is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    pub(super) const BIND: Self = Self(1);
    pub(super) const RECURSIVE: Self = Self(2);
    pub(super) const REMOUNT: Self = Self(4);
    pub(super) const COPY_UP: Self = Self(8);
    pub(super) const RECURSIVE_IDMAP: Self = Self(16);

    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// An option list, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted {
    pub(super) flags: Flags,
    pub(super) set: u64,
    pub(super) clear: u64,
    pub(super) recursive_set: u64,
    pub(super) recursive_clear: u64,
    pub(super) propagation: Vec<(u64, bool)>,
    /// What is left is the file system's own.
    pub(super) options: Vec<(String, Option<String>)>,
}

impl Sorted {
    pub(super) fn new(words: &[String]) -> Result<Self, PlanError> {
        let mut sorted = Self::default();
        for word in words {
            sorted.add(word)?;
        }
        // An option that only the whole file system has: `ro` of a new one is both.
        if sorted.set & attribute::RDONLY != 0 {
            sorted.options.insert(0, ("ro".to_owned(), None));
        }
        Ok(sorted)
    }

    /// The value of an option that is not the kernel's.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let option = self.options.iter().find(|(name, _)| name == key)?;
        option.1.as_deref()
    }

    fn add(&mut self, word: &str) -> Result<(), PlanError> {
        if word.contains('\0') {
            return Err(PlanError::Value {
                what: "a mount option",
                value: word.to_owned(),
            });
        }
        if let Some((set, clear)) = attributes(word) {
            self.set = self.set & !clear | set;
            self.clear = self.clear & !set | clear;
        } else if let Some((set, clear)) = word.strip_prefix('r').and_then(recursive_attributes) {
            self.recursive_set = self.recursive_set & !clear | set;
            self.recursive_clear = self.recursive_clear & !set | clear;
        } else if let Some(bits) = propagation_bits(word) {
            self.propagation.push((bits, false));
        } else if let Some(bits) = word.strip_prefix('r').and_then(propagation_bits) {
            self.propagation.push((bits, true));
        } else {
            self.add_rest(word);
        }
        Ok(())
    }

    fn add_rest(&mut self, word: &str) {
        match word {
            "" | "defaults" | "async" | "nomand" | "loud" | "nolazytime" | "noiversion"
            | "idmap" | "nofail" => {}
            "ridmap" => self.flags.add(Flags::RECURSIVE_IDMAP),
            "bind" => self.flags.add(Flags::BIND),
            "rbind" => {
                self.flags.add(Flags::BIND);
                self.flags.add(Flags::RECURSIVE);
            }
            "remount" => self.flags.add(Flags::REMOUNT),
            "tmpcopyup" => self.flags.add(Flags::COPY_UP),
            _ => self.options.push(match word.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (word.to_owned(), None),
            }),
        }
    }
}

/// Attributes of one mount: bits to set, bits to clear.
fn attributes(word: &str) -> Option<(u64, u64)> {
    use attribute as a;
    Some(match word {
        "ro" => (a::RDONLY, 0),
        "rw" => (0, a::RDONLY),
        "nosuid" => (a::NOSUID, 0),
        "suid" => (0, a::NOSUID),
        "nodev" => (a::NODEV, 0),
        "dev" => (0, a::NODEV),
        "noexec" => (a::NOEXEC, 0),
        "exec" => (0, a::NOEXEC),
        "nodiratime" => (a::NODIRATIME, 0),
        "diratime" => (0, a::NODIRATIME),
        "nosymfollow" => (a::NOSYMFOLLOW, 0),
        "symfollow" => (0, a::NOSYMFOLLOW),
        // The ways of keeping access times exclude each other: the mask is cleared, one of them is set.
        "noatime" => (a::NOATIME, a::ATIME & !a::NOATIME),
        "strictatime" => (a::STRICTATIME, a::ATIME & !a::STRICTATIME),
        "atime" | "relatime" | "nostrictatime" | "norelatime" => (0, a::ATIME),
        _ => return None,
    })
}

/// The same words with an `r` before them, for a whole tree; `relatime` and `remount` are not among them.
fn recursive_attributes(word: &str) -> Option<(u64, u64)> {
    attributes(word)
}

fn propagation_bits(word: &str) -> Option<u64> {
    Some(match word {
        "private" => propagation::PRIVATE,
        "shared" => propagation::SHARED,
        "slave" => propagation::SLAVE,
        "unbindable" => propagation::UNBINDABLE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(words: &str) -> Sorted {
        let words: Vec<String> = words.split(',').map(str::to_owned).collect();
        Sorted::new(&words).unwrap()
    }

    #[test]
    fn words_of_the_mount_are_kept_apart_from_words_of_the_file_system() {
        let dev = sorted("nosuid,strictatime,mode=755,size=65536k");
        assert_eq!(dev.set, attribute::NOSUID | attribute::STRICTATIME);
        let options = [
            ("mode".into(), Some("755".into())),
            ("size".into(), Some("65536k".into())),
        ];
        assert_eq!(dev.options, options);
    }

    #[test]
    fn the_last_of_two_opposites_wins() {
        let mount = sorted("ro,rw,noexec");
        assert_eq!(
            (mount.set, mount.clear),
            (attribute::NOEXEC, attribute::RDONLY)
        );
    }

    #[test]
    fn words_for_the_whole_tree_begin_with_r() {
        let mount = sorted("rbind,rro,rslave,relatime");
        assert!(mount.flags.contains(Flags::BIND) && mount.flags.contains(Flags::RECURSIVE));
        assert_eq!(mount.recursive_set, attribute::RDONLY);
        assert_eq!(mount.propagation, [(propagation::SLAVE, true)]);
        assert_eq!(mount.set, 0);
    }
}
