//! Version 2's device rules: a small eBPF program that the kernel asks before a device is made or opened
//! (`BPF_PROG_TYPE_CGROUP_DEVICE`, `struct bpf_cgroup_dev_ctx` in `linux/bpf.h`).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::devices::{self, Access, DeviceKind, DeviceRule};
use crate::bpf::{self, Instruction};

/// Registers: the answer, what is asked for (kind, access, major, minor), and one to compute in.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// Puts a program for `rules` in the place of those that `directory` has.
pub(super) fn replace(directory: &Path, rules: &[DeviceRule]) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let cgroup = rustix::fs::open(directory, flags, Mode::empty())?;
    let mut old = bpf::attached(cgroup.as_raw_fd(), bpf::CGROUP_DEVICE)?.into_iter();
    if let Some(program) = compile(rules) {
        let program = bpf::load(bpf::PROGRAM_CGROUP_DEVICE, bpf::CGROUP_DEVICE, &program)?;
        // The kernel swaps them in one step, so that there is no moment without rules.
        bpf::attach(&cgroup, &program, bpf::CGROUP_DEVICE, old.next().as_ref())?;
    }
    old.try_for_each(|program: OwnedFd| bpf::detach(&cgroup, &program, bpf::CGROUP_DEVICE))
}

/// The program; `None` where everything is allowed.
fn compile(rules: &[DeviceRule]) -> Option<Vec<Instruction>> {
    let rules = merge(devices::effective(rules));
    if rules.iter().all(|rule| rule.allow) {
        return None;
    }
    let mut code = vec![
        Instruction::load_word(KIND, CONTEXT, 0),
        Instruction::load_word(ACCESS, CONTEXT, 0),
        Instruction::and(KIND, 0xffff),
        Instruction::shift_right(ACCESS, 16),
        Instruction::load_word(MAJOR, CONTEXT, 4),
        Instruction::load_word(MINOR, CONTEXT, 8),
    ];
    // The last rule that matches wins, so they are asked from the back.
    for rule in rules.iter().rev() {
        code.extend(question(rule));
    }
    // Where no rule speaks of everything, what none speaks of is as it was before: allowed. The kernel refuses
    // instructions that are never reached.
    if !rules.first().is_some_and(DeviceRule::is_total) {
        code.extend([Instruction::set(ANSWER, 1), Instruction::exit()]);
    }
    Some(code)
}

/// Answers if the rule matches, falls through otherwise.
fn question(rule: &DeviceRule) -> Vec<Instruction> {
    let mut code = Vec::new();
    let kind = match rule.kind {
        DeviceKind::All => None,
        DeviceKind::Block => Some(1),
        DeviceKind::Character => Some(2),
    };
    // Each test but for the last two instructions jumps past the answer; distances are filled in below.
    if let Some(kind) = kind {
        code.push(Instruction::skip_unless_equal(KIND, kind));
    }
    if rule.access != Access::ALL {
        let bits = rule.access.bits();
        code.push(Instruction::copy(SCRATCH, ACCESS));
        if rule.allow {
            // Nothing is asked for beyond what is granted.
            code.push(Instruction::and(SCRATCH, !bits & Access::ALL.bits()));
            code.push(Instruction::skip_unless_equal(SCRATCH, 0));
        } else {
            // Some of what is asked for is taken away.
            code.push(Instruction::and(SCRATCH, bits));
            code.push(Instruction::skip_if_equal(SCRATCH, 0));
        }
    }
    let numbers = [(MAJOR, rule.major), (MINOR, rule.minor)];
    for (register, number) in numbers {
        if let Some(number) = number {
            code.push(Instruction::skip_unless_equal(register, number));
        }
    }
    code.extend([
        Instruction::set(ANSWER, i32::from(rule.allow)),
        Instruction::exit(),
    ]);
    let length = code.len();
    for (at, instruction) in code
        .iter_mut()
        .enumerate()
        .filter(|(_, instruction)| instruction.is_jump())
    {
        // At most nine instructions.
        instruction.offset = (length - at - 1) as i16;
    }
    code
}

/// Rules that grant more and more of the same devices become one: a program is asked once for reading and writing.
fn merge(rules: &[DeviceRule]) -> Vec<DeviceRule> {
    let mut merged: Vec<DeviceRule> = Vec::new();
    for rule in rules {
        let same = |known: &&mut DeviceRule| {
            known.allow
                && (known.kind, known.major, known.minor) == (rule.kind, rule.major, rule.minor)
        };
        let since_denial = merged
            .iter()
            .rposition(|known| !known.allow)
            .map_or(0, |at| at + 1);
        match merged[since_denial..].iter_mut().find(same) {
            Some(known) if rule.allow => {
                known.access.read |= rule.access.read;
                known.access.write |= rule.access.write;
                known.access.mknod |= rule.access.mknod;
            }
            Some(_) | None => merged.push(*rule),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(letters: &str) -> Access {
        Access::parse(letters).unwrap()
    }

    #[test]
    fn everything_allowed_needs_no_program() {
        assert!(compile(&[]).is_none());
        assert!(compile(&[DeviceRule::DENY_ALL, DeviceRule::ALLOW_ALL]).is_none());
        assert!(compile(&[DeviceRule::DENY_ALL]).is_some());
    }

    #[test]
    fn grants_of_the_same_device_are_merged_up_to_a_denial() {
        let read = DeviceRule {
            access: access("r"),
            ..DeviceRule::character(1, Some(3))
        };
        let write = DeviceRule {
            access: access("w"),
            ..read
        };
        let both = DeviceRule {
            access: access("rw"),
            ..read
        };
        assert_eq!(
            merge(&[DeviceRule::DENY_ALL, read, write]),
            [DeviceRule::DENY_ALL, both]
        );
        let taken = DeviceRule {
            allow: false,
            ..read
        };
        assert_eq!(merge(&[read, taken, write]), [read, taken, write]);
    }
}
