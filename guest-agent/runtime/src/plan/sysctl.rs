//! Kernel settings that belong to a container's own namespaces.

use std::collections::HashMap;

use proa_kernel::namespace::Namespaces;

use super::PlanError;

/// The settings as paths below `/proc/sys`, refused where they would reach the host.
pub(super) fn plan(
    sysctls: Option<&HashMap<String, String>>,
    own: Namespaces,
) -> Result<Vec<(String, String)>, PlanError> {
    let mut plan = Vec::new();
    for (key, value) in sysctls.into_iter().flatten() {
        let path = path(key);
        let climbs = path.split('/').any(|part| matches!(part, "" | "." | ".."));
        if climbs || !owner(&path).is_some_and(|owner| own.contains(owner)) {
            return Err(PlanError::HostSysctl(key.clone()));
        }
        plan.push((path, value.clone()));
    }
    plan.sort();
    Ok(plan)
}

/// `net.ipv4.conf.eth0/1.forwarding` as `net/ipv4/conf/eth0.1/forwarding`: the first separator tells which of the two
/// is one (`sysctl.d(5)`).
fn path(key: &str) -> String {
    let dotted = key
        .find(['.', '/'])
        .is_some_and(|at| key.as_bytes()[at] == b'.');
    if !dotted {
        return key.to_owned();
    }
    key.chars()
        .map(|letter| match letter {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect()
}

/// The namespace that keeps a setting.
fn owner(path: &str) -> Option<Namespaces> {
    const IPC: [&str; 8] = [
        "msgmax",
        "msgmnb",
        "msgmni",
        "sem",
        "shmall",
        "shmmax",
        "shmmni",
        "shm_rmid_forced",
    ];
    let (top, rest) = path.split_once('/')?;
    match top {
        "net" => Some(Namespaces::NET),
        "fs" if rest.starts_with("mqueue/") => Some(Namespaces::IPC),
        "kernel" if IPC.contains(&rest) => Some(Namespaces::IPC),
        "kernel" if rest == "domainname" => Some(Namespaces::UTS),
        "user" => Some(Namespaces::USER),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, own: Namespaces, expected: Option<&str>) {
        let sysctls = HashMap::from([(key.to_owned(), "1".to_owned())]);
        let planned = plan(Some(&sysctls), own).ok().map(|plan| plan[0].0.clone());
        assert_eq!(planned.as_deref(), expected, "{key}");
    }

    #[test]
    fn a_setting_needs_its_namespace() {
        check(
            "net.ipv4.ip_forward",
            Namespaces::NET,
            Some("net/ipv4/ip_forward"),
        );
        check("net.ipv4.ip_forward", Namespaces::IPC, None);
        check("kernel.msgmax", Namespaces::IPC, Some("kernel/msgmax"));
        check(
            "kernel.panic",
            Namespaces::IPC | Namespaces::NET | Namespaces::UTS,
            None,
        );
        check(
            "net/ipv4/conf/eth0.1/forwarding",
            Namespaces::NET,
            Some("net/ipv4/conf/eth0.1/forwarding"),
        );
        check(
            "net.ipv4.conf.eth0/1.forwarding",
            Namespaces::NET,
            Some("net/ipv4/conf/eth0.1/forwarding"),
        );
        check("net/../kernel/panic", Namespaces::NET, None);
    }
}
