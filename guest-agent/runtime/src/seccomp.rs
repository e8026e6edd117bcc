//! A spec's `linux.seccomp` as a program for the kernel.
//!
//! Compiling takes a while compared with a start, so callers that start many containers with one profile keep the plan.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};
use proa_kernel::filter::{FLAG_LOG, FLAG_SPEC_ALLOW};
use proa_kernel::seccomp::{
    self, Action, Architecture, Comparison, Condition, Filter, Rule, SeccompError,
};

use crate::plan::SeccompPlan;

/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`.
const FLAG_WAIT_KILLABLE: u32 = 1 << 5;

/// Compiles the section.
pub fn compile(section: &LinuxSeccomp) -> Result<SeccompPlan, SeccompError> {
    let program = seccomp::compile(&filter(section))?;
    Ok(SeccompPlan {
        program: program.bytes(),
        flags: flags(section.flags().as_deref()),
        listener: section
            .listener_path()
            .clone()
            .filter(|path| !path.as_os_str().is_empty()),
        listener_metadata: section.listener_metadata().clone().unwrap_or_default(),
    })
}

/// The section as the kernel crate reads it.
pub fn filter(section: &LinuxSeccomp) -> Filter {
    let architectures = section.architectures().iter().flatten();
    Filter {
        default: action(section.default_action(), section.default_errno_ret()),
        architectures: architectures
            .filter_map(|name| architecture(*name))
            .collect(),
        rules: section.syscalls().iter().flatten().map(rule).collect(),
    }
}

/// Nothing said means that runtimes choose, and they let programs speculate.
fn flags(flags: Option<&[LinuxSeccompFilterFlag]>) -> u32 {
    let Some(flags) = flags else {
        return FLAG_SPEC_ALLOW;
    };
    let bit = |flag: &LinuxSeccompFilterFlag| match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => FLAG_LOG,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => FLAG_SPEC_ALLOW,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => FLAG_WAIT_KILLABLE,
        // The filter is loaded by a process with one thread.
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
    };
    flags.iter().map(bit).fold(0, |all, bit| all | bit)
}

fn architecture(name: Arch) -> Option<Architecture> {
    match name {
        Arch::ScmpArchNative => Some(Architecture::NATIVE),
        other => Architecture::from_name(&other.to_string()),
    }
}

fn action(action: LinuxSeccompAction, number: Option<u32>) -> Action {
    let number = number.map_or(libc::EPERM as u16, |number| number as u16);
    match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => {
            Action::KillThread
        }
        LinuxSeccompAction::ScmpActKillProcess => Action::KillProcess,
        LinuxSeccompAction::ScmpActTrap => Action::Trap(0),
        LinuxSeccompAction::ScmpActErrno => Action::Errno(number),
        LinuxSeccompAction::ScmpActNotify => Action::Notify,
        LinuxSeccompAction::ScmpActTrace => Action::Trace(number),
        LinuxSeccompAction::ScmpActLog => Action::Log,
        LinuxSeccompAction::ScmpActAllow => Action::Allow,
    }
}

fn rule(call: &LinuxSyscall) -> Rule {
    Rule {
        names: call.names().clone(),
        action: action(call.action(), call.errno_ret()),
        conditions: call.args().iter().flatten().map(condition).collect(),
    }
}

/// For a masked comparison the first value is the mask and the second what is left under it.
fn condition(argument: &LinuxSeccompArg) -> Condition {
    let (first, second) = (argument.value(), argument.value_two().unwrap_or_default());
    let (comparison, value) = match argument.op() {
        LinuxSeccompOperator::ScmpCmpNe => (Comparison::NotEqual, first),
        LinuxSeccompOperator::ScmpCmpLt => (Comparison::Less, first),
        LinuxSeccompOperator::ScmpCmpLe => (Comparison::LessOrEqual, first),
        LinuxSeccompOperator::ScmpCmpEq => (Comparison::Equal, first),
        LinuxSeccompOperator::ScmpCmpGe => (Comparison::GreaterOrEqual, first),
        LinuxSeccompOperator::ScmpCmpGt => (Comparison::Greater, first),
        LinuxSeccompOperator::ScmpCmpMaskedEq => (Comparison::MaskedEqual(first), second),
    };
    // An index beyond a byte is beyond the sixth argument just as well.
    Condition {
        argument: u8::try_from(argument.index()).unwrap_or(u8::MAX),
        comparison,
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_section_is_kept() {
        let section: LinuxSeccomp = serde_json::from_str(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64",
                "SCMP_ARCH_S390X", "SCMP_ARCH_X86"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                "syscalls": [{"names": ["clone"], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 7, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}]}]}"#,
        )
        .unwrap();
        let rule = Rule {
            names: vec!["clone".into()],
            action: Action::Allow,
            conditions: vec![Condition {
                argument: 0,
                comparison: Comparison::MaskedEqual(7),
                value: 3,
            }],
        };
        assert_eq!(
            filter(&section),
            Filter {
                default: Action::Errno(38),
                architectures: vec![Architecture::X86_64, Architecture::X86],
                rules: vec![rule],
            }
        );
        let plan = compile(&section).unwrap();
        assert_eq!((plan.flags, plan.program.len() % 8), (FLAG_LOG, 0));
    }

    #[test]
    fn no_flags_and_an_empty_list_differ() {
        assert_eq!(flags(None), FLAG_SPEC_ALLOW);
        assert_eq!(flags(Some(&[])), 0);
    }
}
