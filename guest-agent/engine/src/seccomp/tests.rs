//! What profiles allow to whom.

use std::collections::BTreeMap;

use oci_spec::runtime::Capability;

use super::*;

const NEW: KernelVersion = KernelVersion(6, 12);

fn subject<'a>(capabilities: &'a [Capability], architecture: &'a str) -> Subject<'a> {
    Subject {
        capabilities,
        kernel: NEW,
        architecture,
    }
}

/// Calls allowed without a look at their arguments.
fn allowed(section: &LinuxSeccomp) -> Vec<&str> {
    let calls = section.syscalls().iter().flatten();
    let plain = calls
        .filter(|call| call.args().is_none() && call.action() == LinuxSeccompAction::ScmpActAllow);
    plain
        .flat_map(|call| call.names().iter().map(String::as_str))
        .collect()
}

#[test]
fn a_container_may_do_what_its_capabilities_are_for() {
    let plain = default_profile(&subject(&[], "amd64"));
    for name in ["read", "openat2", "arch_prctl", "ptrace", "io_setup"] {
        assert!(allowed(&plain).contains(&name), "{name}");
    }
    for name in [
        "mount",
        "chroot",
        "bpf",
        "clone3",
        "io_uring_setup",
        "add_key",
        "set_tls",
        "umount2",
    ] {
        assert!(!allowed(&plain).contains(&name), "{name}");
    }
    let for_one = [
        (Capability::SysChroot, "chroot"),
        (Capability::SysAdmin, "mount"),
        (Capability::SysAdmin, "clone3"),
        (Capability::Bpf, "bpf"),
        (Capability::Syslog, "syslog"),
        (Capability::Perfmon, "perf_event_open"),
    ];
    for (capability, name) in for_one {
        let section = default_profile(&subject(&[capability], "amd64"));
        assert!(allowed(&section).contains(&name), "{name}");
    }
}

#[test]
fn the_profile_depends_on_machine_and_kernel() {
    let arm = default_profile(&subject(&[], "arm64"));
    assert!(allowed(&arm).contains(&"set_tls") && !allowed(&arm).contains(&"arch_prctl"));
    assert_eq!(
        arm.architectures().as_deref(),
        Some(&[Arch::ScmpArchAarch64, Arch::ScmpArchArm][..])
    );
    let old = Subject {
        kernel: KernelVersion(4, 4),
        ..subject(&[], "amd64")
    };
    assert!(!allowed(&default_profile(&old)).contains(&"ptrace"));
}

#[test]
fn every_name_is_a_system_call_somewhere() {
    let text = std::iter::once(defaults::EVERYBODY).chain(defaults::GROUPS.map(|(_, names)| names));
    // Of architectures this is not built for, or never made: epoll's first versions.
    let elsewhere = [
        "getsid",
        "riscv_hwprobe",
        "riscv_flush_icache",
        "swapcontext",
    ];
    let unknown: Vec<&str> = text
        .flat_map(str::split_whitespace)
        .filter(|name| !proa_kernel::seccomp::is_known(name))
        .filter(|name| !elsewhere.contains(name) && !name.starts_with("s390_"))
        .collect();
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn names_are_listed_once() {
    let mut seen = BTreeMap::new();
    for name in defaults::EVERYBODY.split_whitespace() {
        *seen.entry(name).or_insert(0) += 1;
    }
    assert!(seen.values().all(|count| *count == 1));
    assert_eq!(seen.len(), 361);
}

#[test]
fn a_profile_file_is_resolved_for_the_container() {
    let profile = Profile::parse(
        r#"{"defaultAction": "SCMP_ACT_ERRNO",
            "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null}],
            "syscalls": [
                {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "all", "includes": {}, "excludes": {}},
                {"name": "chroot", "action": "SCMP_ACT_ALLOW", "args": null, "includes": {"caps": ["CAP_SYS_CHROOT"]}},
                {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["arm64"]}}]}"#,
    )
    .unwrap();
    let with = profile.resolve(&subject(&[Capability::SysChroot], "arm64"));
    assert_eq!(allowed(&with), ["read", "chroot"]);
    assert_eq!(
        with.architectures().as_deref(),
        Some(&[Arch::ScmpArchAarch64][..])
    );
    let without = profile.resolve(&subject(&[], "amd64"));
    assert_eq!(allowed(&without), ["read", "clone"]);
    assert_eq!(without.architectures().as_ref().unwrap().len(), 2);
}

#[test]
fn a_bad_profile_is_refused_with_the_reason() {
    let refused = |text: &str| {
        let error = Profile::parse(text).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    };
    assert!(refused("{").starts_with("decode the seccomp profile: EOF"));
    assert!(refused(r#"{"defaultAction": "SCMP_ACT_MAYBE"}"#).contains("SCMP_ACT_MAYBE"));
    let with_call =
        |call: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{call}]}}"#);
    assert!(
        refused(&with_call(r#"{"action": "SCMP_ACT_KILL"}"#))
            .contains("rule 1 of the seccomp profile names no")
    );
    let both = r#"{"name": "read", "names": ["write"], "action": "SCMP_ACT_KILL"}"#;
    assert!(refused(&with_call(both)).contains("both `name` and `names`"));
    let kernel = r#"{"name": "read", "action": "SCMP_ACT_KILL", "includes": {"minKernel": "new"}}"#;
    assert!(refused(&with_call(kernel)).contains("kernel version \"new\""));
    let archs = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
        "archMap": [{"architecture": "SCMP_ARCH_X86"}]}"#;
    assert!(refused(archs).contains("both `architectures` and `archMap`"));
}

#[test]
fn the_default_profile_compiles_to_a_small_program() {
    for architecture in ["amd64", "arm64"] {
        let section = default_profile(&subject(&[Capability::Chown], architecture));
        let plan = proa_runtime::seccomp::compile(&section).unwrap();
        assert!(
            plan.program.len() < 8 * 2000,
            "{} instructions",
            plan.program.len() / 8
        );
    }
}
