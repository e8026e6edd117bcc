//! Whether the kernel killed a process of the container for want of memory.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// Descriptors that tell; either may be missing.
#[derive(Default)]
pub(super) struct Oom {
    /// Becomes readable when something may have happened.
    pub(super) watch: Option<OwnedFd>,
    /// `memory.events`, or version 1's `memory.oom_control`.
    pub(super) counter: Option<OwnedFd>,
    seen: u64,
}

impl Oom {
    /// What to wait for.
    pub(super) fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Whether there were kills since the last question.
    pub(super) fn has_struck(&mut self) -> bool {
        self.drain();
        let before = self.seen;
        self.seen = self.count().unwrap_or(before);
        self.seen > before
    }

    /// Whether there was ever one.
    pub(super) fn ever(&self) -> bool {
        self.count().unwrap_or(self.seen) > 0
    }

    fn drain(&mut self) {
        let mut buffer = [0; 512];
        let Some(watch) = &self.watch else {
            return;
        };
        match rustix::io::read(watch, &mut buffer) {
            Ok(1..) | Err(Errno::AGAIN | Errno::INTR) => {}
            // The cgroup is gone.
            Ok(_) | Err(_) => self.watch = None,
        }
    }

    fn count(&self) -> Option<u64> {
        let mut buffer = [0; 512];
        let length = rustix::io::pread(self.counter.as_ref()?, &mut buffer, 0).ok()?;
        count_in(&buffer[..length])
    }
}

/// The number beside `oom_kill`.
fn count_in(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted_in_both_versions_files() {
        assert_eq!(
            count_in(b"low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n"),
            Some(2)
        );
        assert_eq!(
            count_in(b"oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
            Some(1)
        );
        assert_eq!(count_in(b"oom_kill_disable 0\nunder_oom 0\n"), None);
    }
}
