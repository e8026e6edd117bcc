//! What a container sees of itself, and that it sees nothing else.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;

use oci_spec::runtime::{Hook, Hooks, LinuxNamespace, LinuxNamespaceType};
use proa_kernel::message;

use super::support::{
    Ground, add_mount, bind, capture, run, run_with, spec, with_linux, with_process,
};
use crate::init::{SpawnFds, release, spawn};
use crate::plan::Plan;
use crate::start_error::Step;

#[test]
fn a_container_is_alone_with_its_image() {
    let ground = Ground::new();
    let seen = ground.sh("echo $$; hostname; ls /; ls /dev; cat /sys/class/net/lo/operstate; ls /proc | grep -c '^[0-9]'");
    let lines: Vec<&str> = seen.text().lines().collect();
    assert_eq!(lines[..2], ["1", "box"]);
    assert!(
        lines.contains(&"urandom") && lines.contains(&"ptmx"),
        "{lines:?}"
    );
    assert!(!lines.contains(&"home"), "{lines:?}");
    // `ls` and `grep` beside the shell at most.
    assert!(
        lines.last().unwrap().parse::<u32>().unwrap() <= 4,
        "{lines:?}"
    );
}

#[test]
fn changes_go_to_the_upper_directory_and_nothing_to_the_image() {
    let ground = Ground::new();
    let mut plan = ground.plan("touch /tmp/new && echo $HOME", |_| {});
    plan.root_readonly = false;
    assert_eq!(run(&plan).text(), "/root");
    assert!(ground.path("upper/tmp/new").exists());
    assert!(!ground.path("image/tmp/new").exists());
}

#[test]
fn a_read_only_root_refuses_writes() {
    let ground = Ground::new();
    let seen = ground.sh("touch /tmp/new 2>&1; touch /dev/shm/new && echo shm");
    assert!(
        seen.text().contains("Read-only file system") && seen.text().ends_with("shm"),
        "{seen:?}"
    );
}

#[test]
fn a_missing_command_and_one_that_cannot_run_are_told_apart() {
    let ground = Ground::new();
    let check = |command: &str, expected: &str, code: i32| {
        let plan = ground.plan("", |spec| {
            with_process(spec, |p| {
                p.set_args(Some(vec![command.to_owned()]));
            });
        });
        let outcome = run(&plan);
        assert_eq!(outcome.error(), expected);
        assert_eq!(outcome.ended.unwrap_err().exit_code(), code);
    };
    check("nosuch", "exec nosuch: no such file or directory", 127);
    check("/etc/passwd", "exec /etc/passwd: permission denied", 126);
    check("/etc", "exec /etc: permission denied", 126);
}

#[test]
fn a_plan_can_be_carried_out_again_and_again() {
    let ground = Ground::new();
    let mut plan = ground.plan("echo again", |_| {});
    if let crate::plan::Root::Overlay(overlay) = &mut plan.root {
        overlay.volatile = true;
    }
    let outcome = capture(|output| {
        let fds = SpawnFds {
            stdout: Some(output.as_fd()),
            ..SpawnFds::default()
        };
        for _ in 0..5 {
            let spawned = spawn(&plan, &fds)?;
            proa_kernel::process::wait(&spawned.pidfd).unwrap();
        }
        Ok(0)
    });
    assert_eq!(outcome.text().lines().count(), 5);
}

#[test]
fn links_of_a_hostile_image_lead_nowhere_outside() {
    let ground = Ground::new();
    let outside = ground.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "host").unwrap();
    let climbing = format!("../../../../../../../../..{}", outside.display());
    symlink(&outside, ground.path("image/absolute")).unwrap();
    symlink(&climbing, ground.path("image/climbing")).unwrap();
    std::fs::remove_dir(ground.path("image/dev")).unwrap();
    symlink(&outside, ground.path("image/dev")).unwrap();
    let source = ground.path("source");
    std::fs::create_dir(&source).unwrap();
    for target in ["/absolute/a", "/climbing/b"] {
        let plan = ground.plan("true", |spec| {
            add_mount(spec, bind(&source, target, &["rbind"]));
        });
        // A dangling link inside the root: the mount is refused or lands inside, never outside.
        let _ = run(&plan);
    }
    let names: Vec<_> = std::fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["secret"]);
}

#[test]
fn proc_is_not_mounted_through_a_link() {
    let ground = Ground::new();
    std::fs::remove_dir(ground.path("image/proc")).unwrap();
    symlink("/tmp", ground.path("image/proc")).unwrap();
    let outcome = ground.sh("true");
    let error = outcome.ended.unwrap_err();
    assert_eq!(
        (error.step, error.object.as_str(), error.errno),
        (Step::Mount, "/proc", libc::ELOOP)
    );
}

#[test]
fn a_working_directory_does_not_lead_out_by_a_descriptor() {
    let ground = Ground::new();
    for number in 3..16 {
        let plan = ground.plan("pwd; ls ..", |spec| {
            with_process(spec, |p| {
                p.set_cwd(format!("/proc/self/fd/{number}").into());
            });
        });
        let outcome = run(&plan);
        assert!(outcome.ended.is_err(), "{number}: {outcome:?}");
    }
}

#[test]
fn masked_paths_are_empty_and_read_only_ones_cannot_be_written() {
    let ground = Ground::new();
    let seen = ground.sh("cat /proc/timer_list | wc -c; echo x 2>&1 > /proc/sys/kernel/domainname; ls /sys/firmware | wc -l");
    assert_eq!(seen.text().lines().next(), Some("0"));
    assert_eq!(seen.text().lines().last(), Some("0"));
}

#[test]
fn settings_reach_the_containers_own_namespaces() {
    let ground = Ground::new();
    let plan = ground.plan(
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/kernel/domainname",
        |spec| {
            spec.set_domainname(Some("example".into()));
            with_linux(spec, |linux| {
                let settings = [("net.ipv4.ip_forward", "1"), ("kernel.msgmax", "4321")];
                linux.set_sysctl(Some(HashMap::from(
                    settings.map(|(key, value)| (key.into(), value.into())),
                )));
            });
        },
    );
    assert_eq!(run(&plan).text(), "1\n4321\nexample");
}

#[test]
fn clocks_can_be_offset() {
    let ground = Ground::new();
    let plan = ground.plan("cut -d. -f1 /proc/uptime", |spec| {
        with_linux(spec, |linux| {
            let mut namespaces = linux.namespaces().clone().unwrap();
            let mut time = LinuxNamespace::default();
            time.set_typ(LinuxNamespaceType::Time);
            namespaces.push(time);
            linux.set_namespaces(Some(namespaces));
            let mut offset = oci_spec::runtime::LinuxTimeOffset::default();
            offset.set_secs(Some(100_000_000));
            linux.set_time_offsets(Some(HashMap::from([("boottime".to_owned(), offset)])));
        });
    });
    assert!(run(&plan).text().parse::<u64>().unwrap() > 100_000_000);
}

#[test]
fn a_process_waits_at_its_gate_until_somebody_connects() {
    let ground = Ground::new();
    let path = ground.path("gate");
    let plan = ground.plan("echo through", |_| {});
    let outcome = capture(|output| {
        let gate = message::listen(&path).unwrap();
        let fds = SpawnFds {
            stdout: Some(output.as_fd()),
            gate: Some(gate.as_fd()),
            ..SpawnFds::default()
        };
        let spawned = spawn(&plan, &fds)?;
        assert_eq!(
            proa_kernel::process::try_wait(&spawned.pidfd).unwrap(),
            None
        );
        release(&path)?;
        Ok(proa_kernel::process::wait(&spawned.pidfd).unwrap().code())
    });
    assert_eq!(outcome.text(), "through");
}

#[test]
fn a_missing_command_is_found_before_the_gate() {
    let ground = Ground::new();
    let plan = ground.plan("", |spec| {
        with_process(spec, |p| {
            p.set_args(Some(vec!["nosuch".into()]));
        });
    });
    let gate = message::listen(&ground.path("gate")).unwrap();
    let fds = SpawnFds {
        gate: Some(gate.as_fd()),
        ..SpawnFds::default()
    };
    assert_eq!(
        run_with(&plan, &fds, |_| {}).error(),
        "exec nosuch: no such file or directory"
    );
}

#[test]
fn hooks_run_in_order_and_hear_the_state() {
    let ground = Ground::new();
    let log = ground.path("log");
    let hook = |word: &str| {
        let mut hook = Hook::default();
        let script = format!(
            "echo {word} $(grep -o '\"status\":\"[a-z]*\"') >> {}",
            log.display()
        );
        hook.set_path("/bin/sh".into())
            .set_args(Some(vec!["sh".into(), "-c".into(), script]));
        vec![hook]
    };
    let mut spec = spec("true", |_| {});
    let mut hooks = Hooks::default();
    hooks
        .set_create_runtime(Some(hook("runtime")))
        .set_create_container(Some(hook("container")));
    spec.set_hooks(Some(hooks));
    let plan = Plan::new(&spec, ground.options()).unwrap();
    run(&plan).text();
    let said = std::fs::read_to_string(&log).unwrap();
    assert_eq!(
        said,
        "runtime \"status\":\"creating\"\ncontainer \"status\":\"creating\"\n"
    );

    let mut failing = Hook::default();
    failing.set_path("/bin/false".into());
    let mut hooks = Hooks::default();
    hooks.set_create_runtime(Some(vec![failing]));
    spec.set_hooks(Some(hooks));
    let plan = Plan::new(&spec, ground.options()).unwrap();
    assert!(
        run(&plan)
            .error()
            .starts_with("run hook /bin/false (exit status: 1)")
    );
}

#[test]
fn a_reaper_passes_signals_on_and_ends_as_the_command_did() {
    let ground = Ground::new();
    let mut plan = ground.plan(
        "cat /proc/1/comm; trap 'exit 7' TERM; (true &); while :; do sleep 0.02; done",
        |_| {},
    );
    plan.reaper = true;
    let outcome = run_with(&plan, &SpawnFds::default(), |spawned| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        proa_kernel::process::signal(&spawned.pidfd, libc::SIGTERM).unwrap();
    });
    assert_eq!((outcome.output.trim(), outcome.ended), ("proa-init", Ok(7)));
    plan.process.args = vec!["nosuch".into()];
    assert_eq!(run(&plan).error(), "exec nosuch: no such file or directory");
}
