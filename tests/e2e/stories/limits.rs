//! Limits as the kernel enforces them: memory, processors, processes, devices, I/O; frozen, counted, changed live.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::{Engine, unified};
use crate::support::poll;

const MIB: u64 = 1 << 20;

/// Fills memory until the kernel stops it.
const GLUTTON: &str = "tail /dev/zero";

#[test]
fn a_container_that_takes_too_much_memory_is_killed_and_says_so() {
    let engine = Engine::start();
    let id = engine.shell(
        GLUTTON,
        &json!({ "Memory": 16 * MIB, "MemorySwap": 16 * MIB }),
    );
    assert_eq!(engine.agent.wait(&id), 137);
    let state = &engine.agent.inspect(&id)["State"];
    assert_eq!(state["OOMKilled"], true, "{state}");
    assert_eq!(state["ExitCode"], 137, "{state}");
    engine.agent.assert_nothing_left();
}

#[test]
fn a_child_killed_for_memory_does_not_end_its_container() {
    let engine = Engine::start();
    let (code, output) = engine.run(
        &format!("{GLUTTON}; echo child $?"),
        &json!({ "Memory": 16 * MIB, "MemorySwap": 16 * MIB }),
    );
    // Version 2 may take the whole container with the child; Docker does not ask for that.
    assert_eq!((code, output.contains("child 137")), (0, true), "{output}");
    engine.agent.assert_nothing_left();
}

#[test]
fn memory_is_seen_inside_and_counted_outside() {
    let engine = Engine::start();
    let read = if unified() {
        "cat /sys/fs/cgroup/memory.max"
    } else {
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
    };
    let (code, output) = engine.run(read, &json!({ "Memory": 32 * MIB }));
    assert_eq!((code, output.trim()), (0, (32 * MIB).to_string().as_str()));
    let id = engine.shell(
        "head -c 5000000 /dev/zero > /dev/shm/x; echo full; sleep 1000",
        &json!({ "Memory": 32 * MIB }),
    );
    engine.poll_log(&id, "full");
    let stats = engine.stats(&id);
    assert_eq!(stats["memory_stats"]["limit"], 32 * MIB, "{stats:#}");
    assert!(
        stats["memory_stats"]["usage"].as_u64().unwrap() > 4_500_000,
        "{stats:#}"
    );
    engine.agent.assert_nothing_left();
}

#[test]
fn processor_time_is_rationed() {
    let engine = Engine::start();
    let id = engine.shell("while :; do :; done", &json!({ "NanoCpus": 100_000_000 }));
    sleep(Duration::from_secs(1));
    let used = |stats: &Value| {
        stats["cpu_stats"]["cpu_usage"]["total_usage"]
            .as_u64()
            .unwrap()
    };
    let before = (Instant::now(), used(&engine.stats(&id)));
    sleep(Duration::from_secs(4));
    let stats = engine.stats(&id);
    let share = (used(&stats) - before.1) as f64 / before.0.elapsed().as_nanos() as f64;
    assert!(
        share < 0.2,
        "a tenth of a processor was given, {share:.2} was used"
    );
    assert!(
        stats["cpu_stats"]["throttling_data"]["throttled_periods"]
            .as_u64()
            .unwrap()
            > 0,
        "{stats:#}"
    );
    engine.agent.assert_nothing_left();
}

#[test]
fn processes_are_counted_and_refused() {
    let engine = Engine::start();
    // The shell itself is one; a refused fork ends it, hence the inner one.
    let script = "(for i in 1 2 3 4 5 6 7 8 9 10; do sleep 5 & done) 2>&1; echo still here";
    let (_, output) = engine.run(script, &json!({ "PidsLimit": 6 }));
    assert!(output.contains("can't fork"), "{output}");
    let id = engine.shell(
        "sleep 1000 & sleep 1000 & sleep 1000",
        &json!({ "PidsLimit": 20 }),
    );
    poll(Duration::from_secs(20), "three or four processes", || {
        engine.stats(&id)["pids_stats"]["current"]
            .as_u64()
            .is_some_and(|count| (3..=4).contains(&count))
    });
    assert_eq!(engine.stats(&id)["pids_stats"]["limit"], 20);
    engine.agent.assert_nothing_left();
}

#[test]
fn devices_are_those_of_the_list() {
    let engine = Engine::start();
    let open = "mknod /dev/tool c 10 237 && head -c 0 /dev/tool 2>&1; echo code $?";
    let (_, output) = engine.run(open, &json!({}));
    assert!(output.contains("Operation not permitted"), "{output}");
    assert!(!output.contains("code 0"), "{output}");
    let (_, output) = engine.run(open, &json!({ "DeviceCgroupRules": ["c 10:237 rwm"] }));
    assert!(output.contains("code 0"), "{output}");
    let (_, output) = engine.run(
        "echo x > /dev/null && head -c 1 /dev/urandom | wc -c; ls /dev",
        &json!({}),
    );
    assert!(output.starts_with('1'), "{output}");
    let (_, output) = engine.run("head -c 0 /dev/tool && echo open", &json!({ "Devices": [{ "PathOnHost": "/dev/loop-control", "PathInContainer": "/dev/tool", "CgroupPermissions": "r" }] }));
    assert!(output.contains("open"), "{output}");
    let (_, output) = engine.run(
        "head -c 0 /dev/loop-control && echo open",
        &json!({ "Privileged": true }),
    );
    assert!(output.contains("open"), "{output}");
    engine.agent.assert_nothing_left();
}

#[test]
fn a_paused_container_stands_still() {
    let engine = Engine::start();
    let id = engine.shell(
        "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done",
        &json!({}),
    );
    engine.poll_log(&id, "5");
    engine.post(&format!("/containers/{id}/pause"));
    assert_eq!(engine.agent.inspect(&id)["State"]["Status"], "paused");
    let before = engine.logs(&id);
    sleep(Duration::from_millis(500));
    assert_eq!(engine.logs(&id), before);
    engine.post(&format!("/containers/{id}/unpause"));
    poll(Duration::from_secs(20), "it goes on", || {
        engine.logs(&id).len() > before.len()
    });
    engine.agent.assert_nothing_left();
}

#[test]
fn limits_are_changed_while_it_runs() {
    let engine = Engine::start();
    let id = engine.shell(
        "sleep 1000",
        &json!({ "Memory": 64 * MIB, "MemorySwap": 128 * MIB }),
    );
    let change = json!({ "Memory": 32 * MIB, "MemorySwap": 32 * MIB, "PidsLimit": 33, "NanoCpus": 250_000_000, "CpusetCpus": "0" });
    engine
        .agent
        .api()
        .post(&format!("/containers/{id}/update"), &change)
        .ok();
    let file = |v2: &str, v1: &str| {
        let path = format!("/sys/fs/cgroup/{}", if unified() { v2 } else { v1 });
        let (code, text) = engine.exec(&id, &["cat", &path]);
        assert_eq!(code, 0, "{path}: {text}");
        text.trim().to_owned()
    };
    assert_eq!(
        file("memory.max", "memory/memory.limit_in_bytes"),
        (32 * MIB).to_string()
    );
    assert_eq!(file("pids.max", "pids/pids.max"), "33");
    // Where nothing but the update asked for it, version 1 shows no cpuset inside; the process tells what it may use.
    let (_, status) = engine.exec(&id, &["grep", "Cpus_allowed_list", "/proc/1/status"]);
    assert_eq!(status, "Cpus_allowed_list:\t0\n");
    let quota = file("cpu.max", "cpu/cpu.cfs_quota_us");
    assert!(quota.starts_with("25000"), "{quota}");
    assert_eq!(engine.agent.inspect(&id)["HostConfig"]["PidsLimit"], 33);
    engine.agent.assert_nothing_left();
}

#[test]
fn a_parent_caps_its_children() {
    let engine = Engine::start();
    let parent = format!("/proa-parent-{}", crate::support::unique());
    let id = engine.shell("sleep 1000", &json!({ "CgroupParent": parent }));
    let pid = engine.agent.inspect(&id)["State"]["Pid"].as_i64().unwrap();
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(
        cgroups.contains(parent.trim_start_matches('/')),
        "{cgroups}"
    );
    let (controller, file) = if unified() {
        ("", "pids.max")
    } else {
        ("pids", "pids.max")
    };
    let own = cgroups
        .lines()
        .find_map(|line| line.split_once(&format!(":{controller}:")))
        .unwrap()
        .1;
    let folder = format!("/sys/fs/cgroup/{controller}{own}");
    let folder = std::path::Path::new(&folder).parent().unwrap();
    std::fs::write(folder.join(file), "4").unwrap();
    let (_, output) = engine.exec(
        &id,
        &[
            "sh",
            "-c",
            "(for i in 1 2 3 4 5 6; do sleep 2 & done) 2>&1; true",
        ],
    );
    assert!(output.contains("can't fork"), "{output}");
    let folder = folder.to_owned();
    engine.agent.assert_nothing_left();
    // A parent that a user named is the user's; the test takes it away.
    let _ = std::fs::remove_dir(&folder);
    if !unified() {
        for controller in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = std::fs::remove_dir(controller.path().join(parent.trim_start_matches('/')));
        }
    }
}

#[test]
fn io_is_throttled_where_the_kernel_counts_it() {
    let engine = Engine::start();
    let disk = if std::path::Path::new("/dev/vda").exists() {
        "/dev/vda"
    } else {
        "/dev/sda"
    };
    let id = engine.shell(
        "dd if=/dev/zero of=/x bs=64k count=64 oflag=direct 2>&1; echo done; sleep 1000",
        &json!({ "BlkioDeviceWriteBps": [{ "Path": disk, "Rate": MIB }] }),
    );
    let started = Instant::now();
    engine.poll_log(&id, "done");
    let output = engine.logs(&id);
    if output.contains("copied") {
        assert!(
            started.elapsed() > Duration::from_secs(2),
            "4 MiB at 1 MiB a second:\n{output}"
        );
    }
    engine.agent.assert_nothing_left();
}
