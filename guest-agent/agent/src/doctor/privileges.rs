//! What this process may do.

use proa_kernel::capability;

use super::Finding;

/// Without one of these no container starts.
const NEEDED: [&str; 12] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "SETFCAP",
    "SYS_CHROOT",
    "SYS_ADMIN",
    "MKNOD",
];

/// Without these something does not work.
const WANTED: [(&str, &str); 5] = [
    ("NET_ADMIN", "networks cannot be made"),
    (
        "SYS_RESOURCE",
        "limits (`--ulimit`) cannot be raised above the host's, nor `--oom-score-adj` be lowered",
    ),
    (
        "SYS_PTRACE",
        "namespaces of containers with other users cannot be joined",
    ),
    (
        "DAC_READ_SEARCH",
        "some files of other users cannot be read",
    ),
    (
        "BPF",
        "on cgroup version 2 device rules need CAP_SYS_ADMIN instead",
    ),
];

/// The user and the capabilities.
pub(super) fn examine() -> Vec<Finding> {
    let user = if rustix::process::geteuid().is_root() {
        Finding::good("user", "root")
    } else {
        Finding::missing("user", "not root", "run it as root: `sudo proa-agent …`")
    };
    let held = capability::current()
        .map(|sets| sets.effective)
        .unwrap_or_default();
    let mut findings = vec![user];
    findings.extend(capabilities(held));
    findings
}

fn capabilities(held: u64) -> Vec<Finding> {
    let lacks = |name: &str| capability::number(name).is_some_and(|number| held & 1 << number == 0);
    let needed: Vec<String> = NEEDED
        .iter()
        .filter(|name| lacks(name))
        .map(|name| format!("CAP_{name}"))
        .collect();
    let mut findings = Vec::new();
    if needed.is_empty() {
        findings.push(Finding::good("capabilities", "all that are needed"));
    } else {
        let advice =
            "in a container, run it privileged; in a systemd unit, see CapabilityBoundingSet=";
        findings.push(Finding::missing(
            "capabilities",
            format!("without {}", needed.join(", ")),
            advice,
        ));
    }
    for (name, consequence) in WANTED.iter().filter(|(name, _)| lacks(name)) {
        let advice =
            "give the capability to this process (--privileged, --cap-add, CapabilityBoundingSet=)";
        findings.push(Finding::less(format!("CAP_{name}"), *consequence, advice));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lacking_capabilities_are_named() {
        assert_eq!(capabilities(u64::MAX).len(), 1);
        let without = |name: &str| !(1 << capability::number(name).unwrap());
        let findings = capabilities(without("SYS_RESOURCE"));
        assert!(findings[1].name == "CAP_SYS_RESOURCE" && !findings[1].is_fatal());
        let findings = capabilities(without("SYS_ADMIN"));
        assert!(findings[0].is_fatal() && findings[0].found.contains("CAP_SYS_ADMIN"));
    }
}
