//! Profiles of system call filters: Docker's default, and those a user brings.
//!
//! A profile says what a filter is under conditions (capabilities of the container, architecture, kernel); resolving it
//! for a container gives the section of its runtime spec.
//!
//! Start at [`default_profile`] and [`Profile::parse`].

mod conditions;
mod defaults;
mod file;

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompBuilder, LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};

pub use conditions::{KernelVersion, Subject};
pub use file::{BadProfile, Profile};

/// What a container gets unless it asks for another profile or none.
///
/// Everything that is not allowed fails with `EPERM`, but for `clone3` without `CAP_SYS_ADMIN`: its flags are behind a
/// pointer where a filter cannot look, so it fails as if the kernel did not have it, and C libraries use `clone`.
pub fn default_profile(subject: &Subject<'_>) -> LinuxSeccomp {
    use LinuxSeccompOperator::{ScmpCmpEq, ScmpCmpLt, ScmpCmpMaskedEq};
    let mut calls = vec![allow(defaults::EVERYBODY)];
    for (wanted, names) in defaults::GROUPS {
        if wanted.holds(subject) {
            calls.push(allow(names));
        }
    }
    calls.push(allow_if(
        "socket",
        argument(0, defaults::SOCKET_FAMILIES_BELOW, ScmpCmpLt),
    ));
    let equal = |value| argument(0, value, ScmpCmpEq);
    calls.extend(defaults::SOCKET_FAMILIES.map(|family| allow_if("socket", equal(family))));
    calls.extend(
        defaults::PERSONALITIES.map(|personality| allow_if("personality", equal(personality))),
    );
    if !subject.has("CAP_SYS_ADMIN") {
        let flags = usize::from(subject.architecture.starts_with("s390"));
        calls.push(allow_if(
            "clone",
            argument(flags, defaults::NAMESPACE_FLAGS, ScmpCmpMaskedEq),
        ));
        calls.push(built(
            LinuxSyscallBuilder::default()
                .names(names("clone3"))
                .action(LinuxSeccompAction::ScmpActErrno)
                .errno_ret(ENOSYS)
                .build(),
        ));
    }
    built(
        LinuxSeccompBuilder::default()
            .default_action(LinuxSeccompAction::ScmpActErrno)
            .default_errno_ret(EPERM)
            .architectures(architectures(subject.architecture))
            .syscalls(calls)
            .build(),
    )
}

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// The architecture and those whose programs its kernel runs too.
fn architectures(name: &str) -> Vec<Arch> {
    match name {
        "amd64" => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32],
        "arm64" => vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm],
        _ => Vec::new(),
    }
}

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn allow(text: &str) -> LinuxSyscall {
    built(
        LinuxSyscallBuilder::default()
            .names(names(text))
            .action(LinuxSeccompAction::ScmpActAllow)
            .build(),
    )
}

fn allow_if(name: &str, argument: LinuxSeccompArg) -> LinuxSyscall {
    let mut call = allow(name);
    call.set_args(Some(vec![argument]));
    call
}

fn argument(index: usize, value: u64, operator: LinuxSeccompOperator) -> LinuxSeccompArg {
    built(
        LinuxSeccompArgBuilder::default()
            .index(index)
            .value(value)
            .op(operator)
            .build(),
    )
}

/// These builders take any value for every field and have a default for each: they cannot fail.
fn built<T: Default, E>(result: Result<T, E>) -> T {
    result.unwrap_or_default()
}

#[cfg(test)]
mod tests;
