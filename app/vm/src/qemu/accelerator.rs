//! Which accelerator runs the guest, and what is known about one that cannot.
//!
//! A `/dev/kvm` that can be opened may still not run a guest: inside another machine without nested virtualisation it
//! emulates every instruction, slowly, until it meets one that it does not know. QEMU then stops with an internal
//! error, or goes on for ever. Who can tell is the guest: its kernel speaks within a fraction of a second where the
//! accelerator works. What was seen is remembered until the host's next boot or another QEMU, so that it costs once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::Engine;
use super::image::Architecture;
use crate::Accelerator;

/// How much processor time an accelerated guest may use before its kernel speaks; and how long that may take at all,
/// on a host that has no time for it.
pub(super) const SILENCE: Duration = Duration::from_millis(1800);
pub(super) const LONGEST_SILENCE: Duration = Duration::from_secs(20);

/// What to try, in that order, and why not what would come first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) engines: Vec<Engine>,
    /// What stands against the native one, where there is one.
    pub(super) against: Option<String>,
}

/// What to try for a guest of `guest`'s architecture.
pub(super) fn choose(wanted: Accelerator, guest: Architecture, memory: &Memory) -> Choice {
    let native = native(guest);
    let only = |engine| Choice {
        engines: vec![engine],
        against: None,
    };
    match (wanted, native) {
        (Accelerator::Tcg, _) => only(Engine::Tcg),
        (Accelerator::Kvm, _) => only(Engine::Kvm),
        (Accelerator::Auto, None) => only(Engine::Tcg),
        (Accelerator::Auto, Some(engine)) => match memory.recall() {
            None => Choice {
                engines: vec![engine, Engine::Tcg],
                against: None,
            },
            against @ Some(_) => Choice {
                engines: vec![Engine::Tcg],
                against,
            },
        },
    }
}

/// The accelerator of this host that could run it, if there is one.
fn native(guest: Architecture) -> Option<Engine> {
    if guest != Architecture::of_host() {
        None
    } else if cfg!(target_os = "macos") {
        Some(Engine::Hvf)
    } else {
        kvm_opens().then_some(Engine::Kvm)
    }
}

fn kvm_opens() -> bool {
    let opened = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    opened.is_ok()
}

/// What is remembered between starts: a text file whose first line says for which boot of the host and which QEMU the
/// rest holds.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    holds_for: String,
}

impl Memory {
    pub(super) fn new(folder: &Path, qemu: &Path) -> Memory {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let changed = fs::metadata(qemu)
            .and_then(|metadata| metadata.modified())
            .ok();
        let changed = changed.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let changed = changed.unwrap_or_default().as_secs();
        Memory {
            path: folder.join("accelerator"),
            holds_for: format!("{} {} {changed}", boot.trim(), qemu.display()),
        }
    }

    /// Why the native accelerator is not to be tried.
    pub(super) fn recall(&self) -> Option<String> {
        let text = fs::read_to_string(&self.path).ok()?;
        let (holds_for, why) = text.split_once('\n')?;
        (holds_for == self.holds_for).then(|| why.trim().to_owned())
    }

    /// A note that cannot be written costs the next start two seconds, no more.
    pub(super) fn keep(&self, why: &str) {
        drop(fs::write(
            &self.path,
            format!("{}\n{why}\n", self.holds_for),
        ));
    }
}

/// How much processor time a process has used, guest included (`proc_pid_stat(5)`: `utime` and `stime`).
pub(super) fn processor_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // A clock tick is a hundredth of a second on every Linux there is (`USER_HZ`).
    ticks(&stat).map(|ticks| Duration::from_millis(ticks * 10))
}

fn ticks(stat: &str) -> Option<u64> {
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_remembered_for_this_boot_and_this_qemu() {
        let folder = tempfile::tempdir().expect("a folder");
        let qemu = Path::new("/bin/sh");
        let memory = Memory::new(folder.path(), qemu);
        assert_eq!(memory.recall(), None);
        memory.keep("it said nothing");
        let again = Memory::new(folder.path(), qemu);
        assert_eq!(again.recall().as_deref(), Some("it said nothing"));
        assert_eq!(
            Memory::new(folder.path(), Path::new("/bin/ls")).recall(),
            None
        );
    }

    #[test]
    fn a_process_may_have_any_name() {
        let stat = "7 (a) b ( c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks(""), None);
        assert!(processor_time(std::process::id()).is_some());
    }

    #[test]
    fn a_foreign_guest_is_translated() {
        let folder = tempfile::tempdir().expect("a folder");
        let memory = Memory::new(folder.path(), Path::new("/bin/sh"));
        let foreign = match Architecture::of_host() {
            Architecture::X86_64 => Architecture::Aarch64,
            Architecture::Aarch64 => Architecture::X86_64,
        };
        let choice = choose(Accelerator::Auto, foreign, &memory);
        assert_eq!(choice.engines, [Engine::Tcg]);
        memory.keep("broken");
        let choice = choose(Accelerator::Kvm, Architecture::of_host(), &memory);
        assert_eq!(choice.engines, [Engine::Kvm]);
    }
}
