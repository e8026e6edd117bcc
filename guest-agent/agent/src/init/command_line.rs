//! What the host says on the kernel's command line: words of the form `proa.NAME=VALUE`.

/// The command line (`proc_cmdline(5)`).
pub(super) struct CommandLine(String);

impl CommandLine {
    pub(super) fn read() -> Self {
        // A machine that is told nothing is told nothing.
        Self(std::fs::read_to_string("/proc/cmdline").unwrap_or_default())
    }

    /// Every value of a name, in order.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .split_ascii_whitespace()
            .filter_map(move |word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// The last value of a name, which is the one that counts.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_their_whole_name() {
        let line = CommandLine("quiet proa.ip=a proa.ipx=b proa.ip=c=d\n".to_owned());
        assert_eq!(line.all("proa.ip").collect::<Vec<_>>(), ["a", "c=d"]);
        assert_eq!(line.last("proa.ip"), Some("c=d"));
        assert_eq!(line.last("proa.dns"), None);
    }
}
