//! What version 2 does without controllers (freeze, kill, devices, events), in the version 2 tree that hybrid hosts have
//! beside version 1 and others have alone. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends there"
)]
#![expect(
    unsafe_code,
    reason = "a child enters its cgroup between fork and exec"
)]

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use proa_kernel::cgroup::{
    Access, Cgroup, CgroupError, Controller, DeviceKind, DeviceRule, Hierarchy, Limits, Version,
    default_rules,
};

struct Scratch(Cgroup);

impl Scratch {
    fn new(devices: Vec<DeviceRule>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let here = Hierarchy::detect().unwrap();
        let tree =
            Hierarchy::unified_at(here.unified().expect("a version 2 tree is mounted")).unwrap();
        assert_eq!(tree.version(), Version::V2);
        let path = format!(
            "proa-test-v2-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let limits = Limits {
            devices,
            ..Limits::default()
        };
        Self(tree.create(&path.parse().unwrap(), &limits).unwrap())
    }

    fn run(&self, script: &str) -> Child {
        let procs: PathBuf = self.0.unified_directory().unwrap().join("cgroup.procs");
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: only `open` and `write` are called between fork and exec.
        unsafe { command.pre_exec(move || fs::write(&procs, "0")) };
        command.spawn().unwrap()
    }

    fn succeeds(&self, script: &str) -> bool {
        self.run(script).wait().unwrap().success()
    }

    fn set(&self, devices: Vec<DeviceRule>) {
        self.0
            .apply(&Limits {
                devices,
                ..Limits::default()
            })
            .unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.0.kill_and_wait().unwrap();
        self.0.delete().unwrap();
    }
}

fn access(letters: &str) -> Access {
    Access::parse(letters).unwrap()
}

#[test]
fn the_device_program_answers_like_version_1() {
    let group = Scratch::new(default_rules());
    assert!(group.succeeds("echo x > /dev/null && head -c1 /dev/zero > /dev/null"));
    assert!(!group.succeeds("exec < /dev/kmsg"));
    assert!(!group.succeeds("exec > /dev/kmsg"));
}

#[test]
fn new_device_rules_replace_the_old_ones() {
    let group = Scratch::new(vec![DeviceRule::DENY_ALL]);
    assert!(!group.succeeds("exec < /dev/null"));
    let kmsg = DeviceRule {
        access: access("r"),
        ..DeviceRule::character(1, Some(11))
    };
    group.set(default_rules().into_iter().chain([kmsg]).collect());
    assert!(group.succeeds("exec < /dev/kmsg"));
    assert!(!group.succeeds("exec > /dev/kmsg"));
    let writable = DeviceRule {
        access: access("w"),
        ..kmsg
    };
    group.set(
        default_rules()
            .into_iter()
            .chain([kmsg, writable])
            .collect(),
    );
    assert!(
        group.succeeds("exec <> /dev/kmsg"),
        "reading and writing are granted one by one"
    );
    group.set(vec![DeviceRule::ALLOW_ALL]);
    assert!(group.succeeds("exec > /dev/kmsg"));
}

#[test]
fn a_later_denial_wins() {
    let everything_made_of_characters = DeviceRule {
        kind: DeviceKind::Character,
        ..DeviceRule::ALLOW_ALL
    };
    let not_null = DeviceRule {
        allow: false,
        access: access("w"),
        ..DeviceRule::character(1, Some(3))
    };
    let group = Scratch::new(vec![
        DeviceRule::DENY_ALL,
        everything_made_of_characters,
        not_null,
    ]);
    assert!(group.succeeds("exec < /dev/null"));
    assert!(!group.succeeds("exec > /dev/null"));
    assert!(group.succeeds("exec > /dev/zero"));
}

#[test]
fn making_a_node_is_asked_for_too() {
    let group = Scratch::new(default_rules());
    let path = std::env::temp_dir().join(format!("proa-test-node-{}", std::process::id()));
    let make = format!("mknod {0} c 1 11 && rm {0}", path.display());
    assert!(group.succeeds(&make));
    group.set(vec![
        DeviceRule::DENY_ALL,
        DeviceRule::character(1, Some(3)),
    ]);
    assert!(!group.succeeds(&make));
}

#[test]
fn a_frozen_process_can_be_killed_in_one_step() {
    let group = Scratch::new(Vec::new());
    let mut child = group.run("sleep 1000 & exec sleep 1000");
    while group.0.pids().unwrap().len() < 2 {
        std::thread::yield_now();
    }
    group.0.freeze().unwrap();
    assert!(group.0.frozen());
    group.0.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_limit_without_its_controller_says_which_one_is_missing() {
    let group = Scratch::new(Vec::new());
    let mut limits = Limits::default();
    limits.memory.limit = Some(64 << 20);
    let applied = group.0.apply(&limits);
    if group.0.hierarchy().has(Controller::Memory) {
        applied.unwrap();
        return;
    }
    let refused = applied.unwrap_err();
    assert!(matches!(refused, CgroupError::NoController { .. }));
    assert!(
        refused
            .to_string()
            .contains("controller `memory` is not available"),
        "{refused}"
    );
}
