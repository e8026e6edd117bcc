//! What the machine says of itself.

use std::fs;
use std::path::Path;

use proa_protocol::Info;

/// Go's name of the processor's architecture, as images are named.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The kernel's name of it.
pub(super) fn machine() -> String {
    rustix::system::uname()
        .machine()
        .to_string_lossy()
        .into_owned()
}

/// The kernel's release.
pub(super) fn kernel_release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// The machine's name.
pub(super) fn name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The distribution's name and its version.
pub(super) fn operating_system() -> (String, String) {
    let text = ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|file| fs::read_to_string(file).ok());
    let text = text.unwrap_or_default();
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches(['"', '\'']).to_owned())
    };
    let name = value("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned());
    (name, value("VERSION_ID").unwrap_or_default())
}

/// This engine's identity: made once, kept in its root folder.
pub(super) fn id(root: &Path) -> String {
    let file = root.join("engine-id");
    if let Ok(text) = fs::read_to_string(&file) {
        return text.trim().to_owned();
    }
    let Ok(id) = fs::read_to_string("/proc/sys/kernel/random/uuid") else {
        return String::new();
    };
    let id = id.trim().to_owned();
    if let Err(e) = fs::write(&file, &id) {
        tracing::warn!("write the engine's identity to {}: {e}", file.display());
    }
    id
}

/// What the containers' roots are made with.
pub(super) fn storage(root: &Path) -> Vec<[String; 2]> {
    let kind = rustix::fs::statfs(root).map_or("unknown", |found| file_system(found.f_type as u64));
    let pairs = [
        ("Backing Filesystem", kind),
        ("Supports d_type", "true"),
        ("Using metacopy", "false"),
        ("Native Overlay Diff", "true"),
        ("userxattr", "false"),
    ];
    pairs
        .map(|(key, value)| [key.to_owned(), value.to_owned()])
        .to_vec()
}

/// Docker's name for a file system's number (`statfs(2)`).
fn file_system(magic: u64) -> &'static str {
    match magic & 0xffff_ffff {
        0xef53 => "extfs",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlayfs",
        _ => "unknown",
    }
}

/// Descriptors that this process has open.
pub(super) fn open_descriptors() -> i64 {
    fs::read_dir("/proc/self/fd").map_or(-1, |entries| entries.count() as i64)
}

/// Whether memory and swap are counted together or apart at all.
pub(super) fn counts_swap() -> bool {
    let files = [
        "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes",
        "/sys/fs/cgroup/memory.swap.max",
    ];
    files.iter().any(|file| Path::new(file).exists()) || own_swap_file()
}

/// On version 2 only cgroups beneath the root have the file: this process's own says it.
fn own_swap_file() -> bool {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"));
    path.is_some_and(|path| {
        Path::new("/sys/fs/cgroup")
            .join(path)
            .join("memory.swap.max")
            .exists()
    })
}

/// A proxy from the environment, in capitals or not, without the password in it.
pub(super) fn proxy(name: &str) -> String {
    let value = std::env::var(name)
        .or_else(|_| std::env::var(name.to_lowercase()))
        .unwrap_or_default();
    match (value.find("://"), value.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}xxxxx:xxxxx{}", &value[..scheme + 3], &value[at..])
        }
        _ => value,
    }
}

/// What guards containers here.
pub(super) fn security_options() -> Vec<String> {
    let mut options = Vec::new();
    if fs::read_to_string("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|text| text.trim() == "Y")
    {
        options.push("name=apparmor".to_owned());
    }
    options.push("name=seccomp,profile=builtin".to_owned());
    if Path::new("/proc/self/ns/cgroup").exists()
        && Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
    {
        options.push("name=cgroupns".to_owned());
    }
    options
}

/// Whether packets are forwarded, and bridged ones filtered.
pub(super) fn describe_network(info: &mut Info) {
    let on = |file: &str| fs::read_to_string(file).is_ok_and(|text| text.trim() == "1");
    info.ipv4_forwarding = on("/proc/sys/net/ipv4/ip_forward");
    info.bridge_nf_iptables = on("/proc/sys/net/bridge/bridge-nf-call-iptables");
    info.bridge_nf_ip6tables = on("/proc/sys/net/bridge/bridge-nf-call-ip6tables");
}
