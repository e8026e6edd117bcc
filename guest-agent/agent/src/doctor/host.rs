//! The kernel, its mounts and features, and who may talk to the engine.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;

use super::Finding;

/// The oldest kernel that has what the engine builds on.
const OLDEST: (u32, u32) = (5, 15);

fn read(file: &str) -> Option<String> {
    fs::read_to_string(file)
        .ok()
        .map(|text| text.trim().to_owned())
}

/// The kernel's version.
pub(super) fn kernel() -> Finding {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    kernel_of(&release)
}

fn kernel_of(release: &str) -> Finding {
    let mut numbers = release
        .split(|letter: char| !letter.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= OLDEST {
        return Finding::good("kernel", format!("Linux {release}"));
    }
    let found = format!("Linux {release} is older than {}.{}", OLDEST.0, OLDEST.1);
    Finding::missing("kernel", found, "install a newer kernel and boot it")
}

/// The processor that this program was built for.
pub(super) fn architecture() -> Finding {
    let machine = rustix::system::uname()
        .machine()
        .to_string_lossy()
        .into_owned();
    let built = std::env::consts::ARCH;
    if machine == built {
        return Finding::good("machine", machine);
    }
    let advice = format!(
        "install the build for {machine}: system call filters are made for the wrong machine"
    );
    Finding::less(
        "machine",
        format!("{machine}, this program is for {built}"),
        advice,
    )
}

/// File systems that have to be there and writable.
pub(super) fn mounts() -> Vec<Finding> {
    let advice =
        "in a container, run it privileged; else mount it again with `mount -o remount,rw`";
    let check = |path: &str| {
        let name = format!("mount {path}");
        match rustix::fs::statvfs(path) {
            Ok(found) if found.f_flag.contains(StatVfsMountFlags::RDONLY) => {
                Finding::missing(name, "mounted read-only", advice)
            }
            Ok(_) => Finding::good(name, "writable"),
            Err(error) => Finding::missing(name, error.to_string(), advice),
        }
    };
    ["/proc", "/sys", "/dev"].map(check).into()
}

/// Namespaces, user namespaces among them.
pub(super) fn namespaces() -> Vec<Finding> {
    let there = |kind: &&str| Path::new("/proc/self/ns").join(kind).exists();
    let (needed, wanted) = (["mnt", "pid", "net", "ipc", "uts", "cgroup"], ["time"]);
    let lacking: Vec<&str> = needed.into_iter().filter(|kind| !there(kind)).collect();
    let mut findings = Vec::new();
    if lacking.is_empty() {
        let optional: Vec<&str> = wanted.into_iter().filter(there).collect();
        findings.push(Finding::good(
            "namespaces",
            [&needed[..], &optional[..]].concat().join(", "),
        ));
    } else {
        let advice = "use a kernel that is built with all of CONFIG_NAMESPACES";
        findings.push(Finding::missing(
            "namespaces",
            format!("without {}", lacking.join(", ")),
            advice,
        ));
    }
    let most = read("/proc/sys/user/max_user_namespaces");
    findings.push(match most.as_deref() {
        Some("0") => Finding::less(
            "user namespaces",
            "user.max_user_namespaces is 0",
            "for `--userns`: sysctl -w user.max_user_namespaces=15000",
        ),
        Some(most) if there(&"user") => Finding::good("user namespaces", format!("up to {most}")),
        Some(_) | None => Finding::less(
            "user namespaces",
            "the kernel has none",
            "for `--userns`: use a kernel built with CONFIG_USER_NS",
        ),
    });
    findings
}

/// Filters, files in memory, FUSE and what guards the host.
pub(super) fn features() -> Vec<Finding> {
    vec![seccomp(), memory_files(), fuse(), guard()]
}

fn seccomp() -> Finding {
    match read("/proc/sys/kernel/seccomp/actions_avail") {
        Some(actions) if actions.contains("errno") => {
            Finding::good("seccomp", "filters and actions")
        }
        Some(_) | None => Finding::missing(
            "seccomp",
            "the kernel has no filters",
            "use a kernel built with CONFIG_SECCOMP_FILTER, or run containers with --security-opt seccomp=unconfined",
        ),
    }
}

/// The engine runs from a sealed copy of itself.
fn memory_files() -> Finding {
    match read("/proc/sys/vm/memfd_noexec").as_deref() {
        Some("2") => Finding::less(
            "executable memfd",
            "forbidden by vm.memfd_noexec=2",
            "starting takes a little longer; sysctl -w vm.memfd_noexec=1 allows it",
        ),
        Some(_) | None => Finding::good("executable memfd", "allowed"),
    }
}

fn fuse() -> Finding {
    if Path::new("/dev/fuse").exists() {
        return Finding::good("FUSE", "/dev/fuse");
    }
    Finding::less(
        "FUSE",
        "no /dev/fuse",
        "for containers that mount by FUSE: modprobe fuse",
    )
}

fn guard() -> Finding {
    let apparmor = read("/sys/module/apparmor/parameters/enabled").is_some_and(|text| text == "Y");
    let selinux = read("/sys/fs/selinux/enforce");
    match (apparmor, selinux.as_deref()) {
        (true, _) => Finding::good("security module", "AppArmor"),
        (false, Some("1")) => Finding::less(
            "security module",
            "SELinux enforces its policy",
            "label what containers mount (`chcon -Rt container_file_t`) if access is denied",
        ),
        (false, Some(_)) => Finding::good("security module", "SELinux, permissive"),
        (false, None) => Finding::good("security module", "none that confines containers"),
    }
}

/// Who may talk to the engine, and whether one runs.
pub(super) fn access(run: &Path) -> Vec<Finding> {
    let groups = read("/etc/group").unwrap_or_default();
    let group = ["proa", "docker"].into_iter().find(|name| {
        groups
            .lines()
            .any(|line| line.split(':').next() == Some(name))
    });
    let group = match group {
        Some(group) => Finding::good("socket group", group),
        None => Finding::less(
            "socket group",
            "neither `proa` nor `docker` exists: only root can talk to the engine",
            "groupadd proa && usermod -aG proa USER (whoever is in it is as mighty as root)",
        ),
    };
    let socket = run.join("proa.sock");
    let engine = match UnixStream::connect(&socket) {
        Ok(_) => format!("running, at {}", socket.display()),
        Err(_) => format!(
            "not running; `proa-agent serve` will listen at {}",
            socket.display()
        ),
    };
    vec![group, Finding::good("engine", engine)]
}

/// Firewalls beside ours, which may drop what ours lets pass.
pub(super) fn firewalls(root: &Path) -> Vec<Finding> {
    let name = "other firewalls";
    match proa_engine::in_other_firewalls(root) {
        Ok(told) if told.is_empty() => vec![Finding::good(name, "none")],
        Ok(told) => told
            .into_iter()
            .map(|sentence| Finding::good(name, sentence))
            .collect(),
        Err(error) => vec![Finding::less(
            name,
            error.told(),
            "check that this kernel has nf_tables, and that doctor runs as root",
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_are_told() {
        assert!(kernel_of("5.4.0-100-generic").is_fatal());
        assert!(!kernel_of("5.15.0").is_fatal());
        assert!(!kernel_of("10.0-rc1").is_fatal());
    }
}
