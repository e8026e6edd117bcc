//! Which namespaces are the container's own, told by their numbers.

use std::path::Path;

/// Kind, its name under `/proc/self/ns`, and the number of the namespace that the machine booted with.
///
/// The first five numbers are fixed (`linux/proc_ns.h`); those of mnt and net are since 6.18, and before that the
/// lowest ones the kernel gave out at boot.
const KINDS: [(&str, u64); 8] = [
    ("pid", 0xEFFF_FFFC),
    ("mnt", 0xEFFF_FFF8),
    ("uts", 0xEFFF_FFFE),
    ("ipc", 0xEFFF_FFFF),
    ("net", 0xEFFF_FFF9),
    ("cgroup", 0xEFFF_FFFB),
    ("user", 0xEFFF_FFFD),
    ("time", 0xEFFF_FFFA),
];

/// Numbers that are given out start here; the first few belong to the boot.
const FIRST_GIVEN: u64 = 0xF000_0000;
const AT_BOOT: u64 = 170;

/// The kinds that are the container's own and those it shares with the machine.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Namespaces {
    pub(crate) own: Vec<&'static str>,
    pub(crate) shared: Vec<&'static str>,
}

pub(crate) fn read(folder: &Path) -> Namespaces {
    sort(|kind| {
        let link = std::fs::read_link(folder.join(kind)).ok()?;
        number(link.to_str()?)
    })
}

/// `pid:[4026531836]` → 4026531836.
fn number(link: &str) -> Option<u64> {
    link.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

fn sort(number_of: impl Fn(&str) -> Option<u64>) -> Namespaces {
    let mut sorted = Namespaces::default();
    for (kind, first) in KINDS {
        match number_of(kind) {
            Some(number) if is_the_machine_s(kind, number, first) => sorted.shared.push(kind),
            Some(_) => sorted.own.push(kind),
            None => {}
        }
    }
    sorted
}

fn is_the_machine_s(kind: &str, number: u64, first: u64) -> bool {
    number == first
        || (matches!(kind, "mnt" | "net") && (FIRST_GIVEN..FIRST_GIVEN + AT_BOOT).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_whose_a_namespace_is() {
        let sorted = sort(|kind| match kind {
            "pid" => Some(4_026_532_400),
            "user" => Some(4_026_531_837),
            "mnt" => Some(4_026_531_841),
            _ => None,
        });
        assert_eq!(
            sorted,
            Namespaces {
                own: vec!["pid"],
                shared: vec!["mnt", "user"]
            }
        );
    }

    #[test]
    fn a_link_holds_a_number() {
        assert_eq!(number("pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!(number("pid"), None);
    }
}
