//! The few files and settings that programs expect of any Linux.

use std::fs;
use std::io;
use std::path::Path;

use super::command_line::CommandLine;
use super::console;

/// How many files one process may have open: as many as the kernel counts to.
const OPEN_FILES: u64 = 1_048_576;

/// Settings of the kernel, as files below `/proc/sys`.
const SETTINGS: [(&str, &str); 9] = [
    ("kernel/modprobe", "/proa/bin/modprobe"),
    ("kernel/panic", "-1"),
    ("fs/nr_open", "1048576"),
    ("fs/inotify/max_user_instances", "8192"),
    ("fs/inotify/max_user_watches", "1048576"),
    ("vm/max_map_count", "262144"),
    ("kernel/keys/maxkeys", "20000"),
    ("kernel/keys/maxbytes", "400000"),
    ("net/ipv4/ping_group_range", "0 2147483647"),
];

/// Writes them all. What fails is said, and done without.
pub(super) fn all(words: &CommandLine) {
    let name = words.last("proa.hostname").unwrap_or("proa");
    let hosts = format!("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {name}\n");
    let files = [
        ("/etc/hostname", format!("{name}\n")),
        ("/etc/hosts", hosts),
        ("/etc/resolv.conf", resolvers(words)),
        (
            "/etc/passwd",
            "root:x:0:0:root:/root:/sbin/nologin\n".to_owned(),
        ),
        ("/etc/group", "root:x:0:\n".to_owned()),
        (
            "/etc/os-release",
            format!(
                "NAME=Proa\nID=proa\nPRETTY_NAME=\"Proa {}\"\n",
                crate::VERSION
            ),
        ),
    ];
    for (path, text) in files {
        tell(path, write(path, &text));
    }
    for (setting, value) in SETTINGS {
        let path = format!("/proc/sys/{setting}");
        tell(&path, fs::write(&path, value));
    }
    tell(
        "the host name",
        rustix::system::sethostname(name.as_bytes()).map_err(Into::into),
    );
    tell("the loopback device", proa_kernel::loopback::up());
    #[allow(
        clippy::unnecessary_cast,
        reason = "the C libraries differ in its type"
    )]
    let limited =
        proa_kernel::process::set_limit(libc::RLIMIT_NOFILE as u32, OPEN_FILES, OPEN_FILES);
    tell("the limit of open files", limited);
}

fn resolvers(words: &CommandLine) -> String {
    words
        .all("proa.dns")
        .map(|server| format!("nameserver {server}\n"))
        .collect()
}

fn write(path: &str, text: &str) -> io::Result<()> {
    if let Some(folder) = Path::new(path).parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

fn tell(what: &str, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        console::say(&format!("set {what}: {error}"));
    }
}
