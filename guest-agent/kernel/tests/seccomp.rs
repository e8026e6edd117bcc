//! Compiled filters loaded into the kernel, and what programs see of them.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(unsafe_code, reason = "a filter is loaded between fork and exec")]

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output};

use proa_kernel::filter;
use proa_kernel::seccomp::{Action, Architecture, Comparison, Condition, Filter, Rule, compile};

/// Runs `script` under a filter that allows everything but what `rules` say.
fn run(rules: Vec<Rule>, script: &str) -> Output {
    let filter = Filter {
        default: Action::Allow,
        architectures: vec![Architecture::X86],
        rules,
    };
    let program = compile(&filter).unwrap().bytes();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    // SAFETY: only `seccomp` is called between fork and exec; the allocation there is of a lone thread's copy.
    unsafe { command.pre_exec(move || filter::load(&program, filter::FLAG_SPEC_ALLOW).map(drop)) };
    command.output().unwrap()
}

fn rule(names: &[&str], action: Action, conditions: &[Condition]) -> Rule {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Rule {
        names,
        action,
        conditions: conditions.to_vec(),
    }
}

#[test]
fn a_refused_call_fails_with_its_own_error() {
    let rules = vec![rule(
        &["mkdir", "mkdirat"],
        Action::Errno(libc::EROFS as u16),
        &[],
    )];
    let output = run(rules, "mkdir /proc/never; uname -s");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Read-only file system"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Linux\n");
}

#[test]
fn an_argument_decides() {
    // kill(2) with no signal is refused, with SIGCONT (18) it is made.
    let none = Condition {
        argument: 1,
        comparison: Comparison::Equal,
        value: 0,
    };
    let rules = || vec![rule(&["kill"], Action::Errno(libc::EPERM as u16), &[none])];
    assert!(!run(rules(), "kill -0 $$").status.success());
    assert!(run(rules(), "kill -18 $$").status.success());
}

#[test]
fn a_forbidden_call_kills_the_process() {
    let output = run(
        vec![rule(&["mkdir", "mkdirat"], Action::KillProcess, &[])],
        "exec mkdir /proc/never",
    );
    assert_eq!(output.status.signal(), Some(libc::SIGSYS));
}

#[test]
fn every_call_in_one_rule_fits_into_a_program() {
    let names: Vec<&str> = proa_kernel::seccomp::calls(Architecture::X86_64)
        .map(|(name, _)| name)
        .collect();
    let rules = vec![rule(&names, Action::Errno(1), &[])];
    let architectures = vec![Architecture::X86, Architecture::X32];
    let program = compile(&Filter {
        default: Action::Allow,
        architectures,
        rules,
    })
    .unwrap();
    // BPF_MAXINSNS of linux/bpf_common.h.
    assert!(program.bytes().len() / 8 <= 4096);
}
