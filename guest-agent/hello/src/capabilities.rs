//! The effective capability set, by name.

/// In the order of their numbers (`linux/capability.h`).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// The names in a set as `/proc/self/status` writes it, in hexadecimal.
pub(crate) fn names(set: &str) -> Vec<&'static str> {
    let bits = u64::from_str_radix(set, 16).unwrap_or_default();
    NAMES
        .iter()
        .enumerate()
        .filter(|(number, _)| bits & (1 << number) != 0)
        .map(|(_, name)| *name)
        .collect()
}

/// How many capabilities this kernel has, from the text of `cap_last_cap`.
pub(crate) fn known(last: &str) -> usize {
    last.trim()
        .parse::<usize>()
        .map_or(NAMES.len(), |last| last + 1)
}

/// The names, or those that are missing where that is shorter.
pub(crate) fn in_words(names: &[&str], known: usize) -> String {
    let missing: Vec<_> = NAMES
        .iter()
        .take(known)
        .filter(|name| !names.contains(name))
        .copied()
        .collect();
    match (names.len(), missing.len()) {
        (0, _) => "none".into(),
        (_, 0) => "all".into(),
        (held, lacking) if lacking < held / 2 => format!("all but {}", missing.join(" ")),
        _ => names.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_default_set_has_fourteen() {
        let names = names("00000000a80425fb");
        assert_eq!(names.len(), 14);
        assert_eq!(names[0], "chown");
        assert_eq!(names[13], "setfcap");
    }

    #[test]
    fn the_shorter_list_is_told() {
        assert_eq!(in_words(&["chown"], 41), "chown");
        assert_eq!(in_words(&NAMES, 41), "all");
        assert_eq!(in_words(&NAMES[1..], 41), "all but chown");
        assert_eq!(in_words(&[], 41), "none");
    }

    #[test]
    fn rubbish_is_an_empty_set() {
        assert!(names("").is_empty());
        assert_eq!(known("40\n"), 41);
        assert_eq!(known(""), 41);
    }
}
