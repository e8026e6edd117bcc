//! Further processes in a running container, and terminals.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};

use oci_spec::runtime::{Process, User};
use proa_kernel::process;

use super::support::{Ground, Outcome, capture, spec, with_linux, with_process};
use crate::init::{SpawnFds, spawn, spawn_exec};
use crate::plan::{ExecPlan, Plan};
use crate::start_error::StartError;

/// Starts a container that sleeps, executes in it, and ends it.
fn exec(ground: &Ground, change: impl FnOnce(&mut Process)) -> Outcome {
    let plan = ground.plan("sleep 60", |_| {});
    let mut wanted = spec("true", |_| {}).process().clone().unwrap();
    change(&mut wanted);
    let exec_plan = ExecPlan::new(&plan, &wanted, None).unwrap();
    capture(|output| {
        let init = spawn(&plan, &SpawnFds::default())?;
        let fds = SpawnFds {
            stdout: Some(output.as_fd()),
            stderr: Some(output.as_fd()),
            ..SpawnFds::default()
        };
        let ended = run_exec(&exec_plan, &init.pidfd, &fds, output);
        process::signal(&init.pidfd, libc::SIGKILL).unwrap();
        process::wait(&init.pidfd).unwrap();
        ended
    })
}

fn run_exec(
    plan: &ExecPlan,
    init: &OwnedFd,
    fds: &SpawnFds<'_>,
    output: &OwnedFd,
) -> Result<i32, StartError> {
    let spawned = spawn_exec(plan, init.as_fd(), fds)?;
    if let Some(master) = spawned.console_master {
        let mut shown = Vec::new();
        // The end of a terminal is an error.
        let _ = File::from(master).read_to_end(&mut shown);
        rustix::io::write(output, &shown).unwrap();
    }
    Ok(process::wait(&spawned.pidfd).unwrap().code())
}

fn sh(process: &mut Process, script: &str) {
    process.set_args(Some(["sh", "-c", script].map(str::to_owned).to_vec()));
}

#[test]
fn an_exec_is_inside_and_its_parent_outside() {
    let ground = Ground::new();
    // A parent outside of the PID namespace is 0.
    let seen = exec(&ground, |process| {
        sh(
            process,
            "tr '\\0' ' ' < /proc/1/cmdline; echo; cut -d' ' -f4 /proc/$$/stat; hostname",
        );
    });
    assert_eq!(seen.text(), "sleep 60 \n0\nbox");
    let code = exec(&ground, |process| sh(process, "exit 42"));
    assert_eq!(code.ended, Ok(42));
}

#[test]
fn an_exec_has_a_user_and_a_directory_of_its_own() {
    let ground = Ground::new();
    let seen = exec(&ground, |process| {
        sh(process, "id -u; pwd; echo $HOME");
        let mut user = User::default();
        user.set_uid(8).set_gid(8);
        process.set_user(user).set_cwd("/etc".into());
    });
    assert_eq!(seen.text(), "8\n/etc\n/var/mail");
}

#[test]
fn what_cannot_be_executed_is_told() {
    let ground = Ground::new();
    let check = |command: &str, cwd: &str, expected: &str| {
        let outcome = exec(&ground, |process| {
            process
                .set_args(Some(vec![command.to_owned()]))
                .set_cwd(cwd.into());
        });
        assert_eq!(outcome.error(), expected);
    };
    check("nosuch", "/", "exec nosuch: no such file or directory");
    check(
        "true",
        "/nowhere",
        "change to working directory /nowhere: no such file or directory",
    );
}

#[test]
fn an_exec_can_have_a_terminal() {
    let ground = Ground::new();
    let seen = exec(&ground, |process| {
        sh(process, "tty; stty size");
        let size = oci_spec::runtime::BoxBuilder::default()
            .height(33_u64)
            .width(99_u64)
            .build()
            .unwrap();
        process
            .set_terminal(Some(true))
            .set_console_size(Some(size));
    });
    assert_eq!(seen.output, "/dev/pts/0\r\n33 99\r\n");
    assert_eq!(seen.ended, Ok(0));
}

#[test]
fn the_first_process_can_have_a_terminal_that_is_its_console() {
    let ground = Ground::new();
    let plan = ground.plan(
        "tty; [ /dev/console -ef /dev/pts/0 ] || ls -l /dev/console | cut -c1; echo x > /dev/tty",
        |spec| {
            with_process(spec, |process| {
                process.set_terminal(Some(true));
            });
        },
    );
    let outcome = capture(|output| {
        let spawned = spawn(&plan, &SpawnFds::default())?;
        let mut shown = Vec::new();
        let _ = File::from(spawned.console_master.unwrap()).read_to_end(&mut shown);
        rustix::io::write(output, &shown).unwrap();
        Ok(process::wait(&spawned.pidfd).unwrap().code())
    });
    let lines: Vec<&str> = outcome.output.lines().collect();
    assert_eq!(
        (lines.first(), lines.last()),
        (Some(&"/dev/pts/0"), Some(&"x")),
        "{outcome:?}"
    );
}

#[test]
fn a_second_container_can_join_the_namespaces_of_the_first() {
    let ground = Ground::new();
    let first = ground.plan("sleep 60", |_| {});
    let other = Ground::new();
    let outcome = capture(|output| {
        let init = spawn(&first, &SpawnFds::default())?;
        let spec = spec(
            "ps | grep -c 'sleep 6[0]'; hostname; ls -i /proc/self/ns/net | wc -l",
            |spec| {
                spec.set_hostname(None);
                with_linux(spec, |linux| {
                    let mut namespaces = linux.namespaces().clone().unwrap();
                    for namespace in &mut namespaces {
                        let name = namespace.typ().to_string();
                        if ["pid", "uts", "ipc", "net"].contains(&name.as_str()) {
                            namespace
                                .set_path(Some(format!("/proc/{}/ns/{name}", init.pid).into()));
                        }
                    }
                    linux.set_namespaces(Some(namespaces));
                });
            },
        );
        let second = Plan::new(&spec, other.options()).unwrap();
        let fds = SpawnFds {
            stdout: Some(output.as_fd()),
            stderr: Some(output.as_fd()),
            ..SpawnFds::default()
        };
        let spawned = spawn(&second, &fds)?;
        let code = process::wait(&spawned.pidfd).unwrap().code();
        process::signal(&init.pidfd, libc::SIGKILL).unwrap();
        process::wait(&init.pidfd).unwrap();
        Ok(code)
    });
    assert_eq!(outcome.text(), "1\nbox\n1");
}
