//! Which devices a cgroup's processes may make and open.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One rule; later rules win over earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Grants or takes away.
    pub allow: bool,
    /// Which kind of node.
    pub kind: DeviceKind,
    /// Major number; `None` is every one.
    pub major: Option<u32>,
    /// Minor number; `None` is every one.
    pub minor: Option<u32>,
    /// What is granted or taken away.
    pub access: Access,
}

/// Kind of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// Both kinds.
    All,
    /// Block.
    Block,
    /// Character.
    Character,
}

/// What may be done to a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Open for reading.
    pub read: bool,
    /// Open for writing.
    pub write: bool,
    /// Make with `mknod`.
    pub mknod: bool,
}

impl Access {
    /// `rwm`.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        mknod: true,
    };
    /// `m`.
    pub const MKNOD: Self = Self {
        read: false,
        write: false,
        mknod: true,
    };

    /// Reads `rwm` and parts of it; `None` for any other letter or none at all.
    pub fn parse(letters: &str) -> Option<Self> {
        let mut access = Self {
            read: false,
            write: false,
            mknod: false,
        };
        for letter in letters.chars() {
            match letter {
                'r' => access.read = true,
                'w' => access.write = true,
                'm' => access.mknod = true,
                _ => return None,
            }
        }
        (!letters.is_empty()).then_some(access)
    }

    /// As bits: mknod 1, read 2, write 4 (`BPF_DEVCG_ACC_*`).
    pub(super) fn bits(self) -> u32 {
        u32::from(self.mknod) | u32::from(self.read) << 1 | u32::from(self.write) << 2
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, set) in [("r", self.read), ("w", self.write), ("m", self.mknod)] {
            if set {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

impl DeviceRule {
    /// Takes away everything; the usual first rule.
    pub const DENY_ALL: Self = Self {
        allow: false,
        kind: DeviceKind::All,
        major: None,
        minor: None,
        access: Access::ALL,
    };
    /// Grants everything: a privileged container.
    pub const ALLOW_ALL: Self = Self {
        allow: true,
        ..Self::DENY_ALL
    };

    /// The rule that grants a character device.
    pub const fn character(major: u32, minor: Option<u32>) -> Self {
        let major = Some(major);
        Self {
            allow: true,
            kind: DeviceKind::Character,
            major,
            minor,
            access: Access::ALL,
        }
    }

    /// Whether it speaks of every device and every access.
    pub(super) fn is_total(&self) -> bool {
        self.major.is_none()
            && self.minor.is_none()
            && self.access == Access::ALL
            && self.kind == DeviceKind::All
    }
}

/// What every container may do, as the runtimes grant it: make any node, and use null, zero, full, random, urandom, tty,
/// ptmx and the pseudo-terminals.
pub fn default_rules() -> Vec<DeviceRule> {
    let node = |kind| DeviceRule {
        allow: true,
        kind,
        access: Access::MKNOD,
        ..DeviceRule::DENY_ALL
    };
    let mut rules = vec![
        DeviceRule::DENY_ALL,
        node(DeviceKind::Character),
        node(DeviceKind::Block),
    ];
    let one = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)];
    rules.extend(one.map(|(major, minor)| DeviceRule::character(major, Some(minor))));
    rules.push(DeviceRule::character(136, None));
    rules
}

/// Version 1's form: `c 1:3 rwm`. A rule for both kinds with a number or fewer rights takes two lines.
pub(super) fn lines(rule: &DeviceRule) -> Vec<String> {
    if rule.is_total() {
        return vec!["a".to_owned()];
    }
    let number =
        |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
    let kinds: &[&str] = match rule.kind {
        DeviceKind::All => &["b", "c"],
        DeviceKind::Block => &["b"],
        DeviceKind::Character => &["c"],
    };
    let line = |kind: &&str| {
        format!(
            "{kind} {}:{} {}",
            number(rule.major),
            number(rule.minor),
            rule.access
        )
    };
    kinds.iter().map(line).collect()
}

/// The rules that still matter: nothing before the last one that speaks of everything does.
pub(super) fn effective(rules: &[DeviceRule]) -> &[DeviceRule] {
    let last = rules.iter().rposition(DeviceRule::is_total).unwrap_or(0);
    &rules[last..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_as_version_1_reads_them() {
        let lines_of = |rules: &[DeviceRule]| rules.iter().flat_map(lines).collect::<Vec<_>>();
        let half = DeviceRule {
            kind: DeviceKind::All,
            access: Access::MKNOD,
            ..DeviceRule::DENY_ALL
        };
        assert_eq!(
            lines_of(&[DeviceRule::DENY_ALL, half, DeviceRule::character(136, None)]),
            ["a", "b *:* m", "c *:* m", "c 136:* rwm"]
        );
    }

    #[test]
    fn only_what_follows_the_last_total_rule_matters() {
        let tty = DeviceRule::character(5, Some(0));
        assert_eq!(
            effective(&[tty, DeviceRule::DENY_ALL, tty]),
            [DeviceRule::DENY_ALL, tty]
        );
        assert_eq!(effective(&[tty]), [tty]);
        assert_eq!(effective(&[]), []);
    }

    #[test]
    fn access_is_parsed_strictly() {
        assert_eq!(Access::parse("mr").unwrap().to_string(), "rm");
        assert_eq!(Access::parse(""), None);
        assert_eq!(Access::parse("rx"), None);
    }
}
