//! Cgroups against this host's kernel, whichever version it has. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends there"
)]
#![expect(
    unsafe_code,
    reason = "a child enters its cgroup between fork and exec"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use proa_kernel::cgroup::{
    Access, Cgroup, CgroupError, CgroupPath, Controller, DeviceKind, DeviceRule, Entrance,
    Hierarchy, Limits, Version, default_rules,
};

/// A cgroup that is taken away with its processes when the test ends, its parent too.
struct Scratch(Cgroup);

static NEXT: AtomicU32 = AtomicU32::new(0);

fn unique() -> CgroupPath {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("proa-test-{}-{number}/group", std::process::id())
        .parse()
        .unwrap()
}

impl Scratch {
    fn new(limits: &Limits) -> Self {
        Self(
            Hierarchy::detect()
                .unwrap()
                .create(&unique(), limits)
                .unwrap(),
        )
    }

    /// Runs `script` in the cgroup from its first instruction on.
    fn run(&self, script: &str) -> Child {
        let entrance = self.0.entrance().unwrap();
        let directory = self.0.unified_directory();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: only `write` and `open` are called between fork and exec.
        unsafe { command.pre_exec(move || enter(&entrance, directory.as_deref())) };
        command.spawn().unwrap()
    }

    fn file(&self, controller: Controller, name: &str) -> String {
        let directory = match self.0.hierarchy().version() {
            Version::V2 => self.0.unified_directory(),
            Version::V1 | Version::Hybrid => self.0.v1_directory(controller),
        };
        fs::read_to_string(directory.unwrap().join(name))
            .unwrap()
            .trim()
            .to_owned()
    }

    fn is_v2(&self) -> bool {
        self.0.hierarchy().version() == Version::V2
    }
}

/// `std` offers no `CLONE_INTO_CGROUP`, so the version 2 tree is entered by a write here.
fn enter(entrance: &Entrance, directory: Option<&std::path::Path>) -> std::io::Result<()> {
    entrance.enter()?;
    directory.map_or(Ok(()), |directory| {
        fs::write(directory.join("cgroup.procs"), "0")
    })
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.0.kill_and_wait().unwrap();
        self.0.delete().unwrap();
        assert!(!self.0.exists());
        self.0
            .hierarchy()
            .open(&self.0.path().parent().unwrap())
            .delete()
            .unwrap();
    }
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn limited(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[test]
fn limits_are_in_force_and_can_be_changed() {
    let group = Scratch::new(&limited(|limits| {
        limits.memory.limit = Some(64 << 20);
        limits.memory.swap = Some(96 << 20);
        limits.cpu.quota = Some(50_000);
        limits.cpu.period = Some(100_000);
        limits.cpu.shares = Some(512);
        limits.pids = Some(20);
    }));
    let values = |group: &Scratch| {
        if group.is_v2() {
            return [
                "memory.max",
                "memory.swap.max",
                "cpu.max",
                "cpu.weight",
                "pids.max",
            ]
            .map(|file| group.file(Controller::Memory, file));
        }
        [
            (Controller::Memory, "memory.limit_in_bytes"),
            (Controller::Memory, "memory.memsw.limit_in_bytes"),
            (Controller::Cpu, "cpu.cfs_quota_us"),
            (Controller::Cpu, "cpu.shares"),
            (Controller::Pids, "pids.max"),
        ]
        .map(|(controller, file)| group.file(controller, file))
    };
    let v2 = group.is_v2();
    let choose = |one: &'static str, two: &'static str| if v2 { two } else { one };
    assert_eq!(
        values(&group),
        [
            "67108864",
            choose("100663296", "33554432"),
            choose("50000", "50000 100000"),
            choose("512", "59"),
            "20"
        ]
    );
    // Up past the old value of memory and swap, then down below the old value of memory.
    for megabytes in [256i64, 16] {
        let bytes = megabytes << 20;
        group
            .0
            .apply(&limited(|limits| {
                limits.memory.limit = Some(bytes);
                limits.memory.swap = Some(bytes);
                limits.pids = Some(-1);
            }))
            .unwrap();
        let now = values(&group);
        let swap = if v2 {
            "0".to_owned()
        } else {
            bytes.to_string()
        };
        assert_eq!(
            [&now[0], &now[1], &now[4]],
            [&bytes.to_string(), &swap, "max"]
        );
    }
    assert_eq!(
        values(&group)[2],
        choose("50000", "50000 100000"),
        "what an update leaves out stays"
    );
}

#[test]
fn a_process_is_counted_frozen_and_killed() {
    let group = Scratch::new(&Limits::default());
    let mut child = group.run("sleep 1000 & while :; do :; done");
    eventually("two processes", || group.0.pids().unwrap().len() == 2);
    eventually("some processor time", || {
        group.0.stats().unwrap().cpu.total > 1_000_000
    });

    group.0.freeze().unwrap();
    assert!(group.0.frozen());
    let before = group.0.stats().unwrap().cpu.total;
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(
        group.0.stats().unwrap().cpu.total,
        before,
        "nothing runs while frozen"
    );
    group.0.thaw().unwrap();
    eventually("it runs on", || group.0.stats().unwrap().cpu.total > before);

    group.0.freeze().unwrap();
    group.0.kill().unwrap();
    assert_eq!(
        child.wait().unwrap().signal(),
        Some(9),
        "a frozen process can be killed"
    );
    eventually("all gone", || group.0.pids().unwrap().is_empty());
}

#[test]
fn running_out_of_memory_is_told() {
    let group = Scratch::new(&limited(|limits| {
        limits.memory.limit = Some(8 << 20);
        limits.memory.swap = Some(8 << 20);
    }));
    let watch = group.0.watch_oom().unwrap();
    assert!(!group.0.oom_killed());
    // 64 MB in a shell variable.
    let mut child = group.run("x=$(head -c 67108864 /dev/zero | tr '\\0' x)");
    let status = child.wait().unwrap();
    assert!(!status.success(), "{status:?}");
    assert!(group.0.oom_killed());
    let mut polled = [rustix::event::PollFd::new(
        &watch,
        rustix::event::PollFlags::IN,
    )];
    assert_eq!(
        rustix::event::poll(
            &mut polled,
            Some(&rustix::fs::Timespec {
                tv_sec: 1,
                tv_nsec: 0
            })
        ),
        Ok(1)
    );
    watch.drain().unwrap();
    let stats = group.0.stats().unwrap();
    assert!(stats.memory.oom_kills > 0);
    assert_eq!(stats.memory.limit, Some(8 << 20));
    assert!(stats.memory.stat.contains_key("pgfault"));
}

#[test]
fn forking_stops_at_the_limit() {
    let group = Scratch::new(&limited(|limits| limits.pids = Some(3)));
    let mut child = group.run("sleep 100 & sleep 100 & sleep 100 & wait");
    assert!(!child.wait().unwrap().success());
    assert_eq!(group.0.stats().unwrap().pids.limit, Some(3));
}

#[test]
fn a_device_can_be_forbidden_and_granted() {
    let group = Scratch::new(&limited(|limits| limits.devices = default_rules()));
    let null = "echo x > /dev/null";
    assert!(group.run(null).wait().unwrap().success());
    // Memory of the kernel: 1:11 (kmsg) is not among the defaults.
    assert!(!group.run("exec < /dev/kmsg").wait().unwrap().success());
    let kmsg = DeviceRule {
        access: Access {
            read: true,
            write: false,
            mknod: false,
        },
        ..DeviceRule::character(1, Some(11))
    };
    let grant = default_rules().into_iter().chain([kmsg]).collect();
    group
        .0
        .apply(&limited(|limits| limits.devices = grant))
        .unwrap();
    assert!(group.run("exec < /dev/kmsg").wait().unwrap().success());
    assert!(!group.run("exec > /dev/kmsg").wait().unwrap().success());
    let deny_null = DeviceRule {
        allow: false,
        kind: DeviceKind::Character,
        ..DeviceRule::character(1, Some(3))
    };
    let rules = vec![DeviceRule::ALLOW_ALL, deny_null];
    group
        .0
        .apply(&limited(|limits| limits.devices = rules))
        .unwrap();
    assert!(!group.run(null).wait().unwrap().success());
    assert!(group.run("exec > /dev/kmsg").wait().unwrap().success());
}

#[test]
fn a_controller_joins_when_a_limit_asks_for_it() {
    let group = Scratch::new(&Limits::default());
    let mut child = group.run("exec sleep 1000");
    eventually("it is in", || group.0.pids().unwrap().len() == 1);
    group
        .0
        .apply(&limited(|limits| limits.cpu.cpus = Some("0".into())))
        .unwrap();
    assert_eq!(group.file(Controller::Cpuset, "cpuset.cpus"), "0");
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
    group.0.kill_and_wait().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_parent_caps_its_children() {
    let hierarchy = Hierarchy::detect().unwrap();
    let path = unique();
    let parent = hierarchy
        .create(
            &path.parent().unwrap(),
            &limited(|limits| limits.pids = Some(2)),
        )
        .unwrap();
    let group = Scratch(hierarchy.create(&path, &Limits::default()).unwrap());
    assert!(
        !group
            .run("sleep 100 & sleep 100 & wait")
            .wait()
            .unwrap()
            .success()
    );
    assert_eq!(hierarchy.children(parent.path()), [path]);
}

#[test]
fn a_left_over_is_replaced_but_not_one_in_use() {
    let group = Scratch::new(&limited(|limits| limits.pids = Some(7)));
    let hierarchy = group.0.hierarchy().clone();
    let beneath = group.0.path().join("beneath").unwrap();
    hierarchy.create(&beneath, &Limits::default()).unwrap();
    hierarchy
        .create(group.0.path(), &Limits::default())
        .unwrap();
    assert_eq!(group.file(Controller::Pids, "pids.max"), "max");
    assert!(!hierarchy.open(&beneath).exists());

    let mut child = group.run("exec sleep 1000");
    eventually("it is in", || group.0.pids().unwrap().len() == 1);
    let refused = hierarchy
        .create(group.0.path(), &Limits::default())
        .unwrap_err();
    assert!(matches!(refused, CgroupError::Busy(_)), "{refused}");
    assert!(group.0.delete().is_err());
    group.0.kill_and_wait().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_refused_limit_leaves_nothing_behind() {
    let hierarchy = Hierarchy::detect().unwrap();
    let path = unique();
    for limits in [
        limited(|limits| limits.cpu.cpus = Some("4000".into())),
        limited(|limits| limits.memory.limit = Some(1)),
        limited(|limits| limits.unified = BTreeMap::from([("memory.nonsense".into(), "1".into())])),
    ] {
        hierarchy.create(&path, &limits).unwrap_err();
        assert!(!hierarchy.open(&path).exists());
    }
    hierarchy.open(&path.parent().unwrap()).delete().unwrap();
}
