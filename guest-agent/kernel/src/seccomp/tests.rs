//! What programs answer, asked of an interpreter of classic BPF and of the kernel.

use super::emit::{AND, JUMP, JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_OR_EQUAL, LOAD, RETURN};
use super::*;

/// Runs `program` on a call.
fn ask(program: &Program, architecture: Architecture, number: u32, arguments: [u64; 6]) -> u32 {
    let mut words = vec![number, architecture.token(), 0, 0];
    words.extend(
        arguments
            .iter()
            .flat_map(|argument| [*argument as u32, (*argument >> 32) as u32]),
    );
    let (mut at, mut register) = (0, 0u32);
    loop {
        let instruction = program.instructions()[at];
        at += 1;
        let taken = match instruction.code {
            LOAD => {
                register = words[instruction.k as usize / 4];
                continue;
            }
            AND => {
                register &= instruction.k;
                continue;
            }
            JUMP => {
                at += instruction.k as usize;
                continue;
            }
            RETURN => return instruction.k,
            JUMP_EQUAL => register == instruction.k,
            JUMP_GREATER => register > instruction.k,
            JUMP_GREATER_OR_EQUAL => register >= instruction.k,
            other => panic!("code {other:#x}"),
        };
        at += usize::from(if taken {
            instruction.jt
        } else {
            instruction.jf
        });
    }
}

fn rule(names: &[&str], action: Action, conditions: &[Condition]) -> Rule {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Rule {
        names,
        action,
        conditions: conditions.to_vec(),
    }
}

fn filter(rules: Vec<Rule>) -> Filter {
    let architectures = vec![
        Architecture::X86_64,
        Architecture::X86,
        Architecture::X32,
        Architecture::Aarch64,
        Architecture::Arm,
    ];
    Filter {
        default: Action::Errno(1),
        architectures,
        rules,
    }
}

const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const ALLOW: u32 = 0x7fff_0000;

#[test]
fn the_table_is_sorted_and_knows_the_kernels_numbers() {
    assert!(table::TABLE.is_sorted_by_key(|(name, _)| name));
    let known = [
        (Architecture::X86_64, "openat2", Some(437)),
        (Architecture::X86, "socketcall", Some(102)),
        (Architecture::X32, "ioctl", Some(514)),
        (Architecture::Aarch64, "openat", Some(56)),
        (Architecture::Aarch64, "open", None),
        (Architecture::Arm, "set_tls", Some(0x000f_0005)),
        (Architecture::X86_64, "nonsense", None),
    ];
    for (architecture, name, number) in known {
        assert_eq!(number_of(architecture, name), number, "{name}");
    }
    assert_eq!(
        number_of(Architecture::NATIVE, "read"),
        Some(libc::SYS_read as u32)
    );
    assert_eq!(
        number_of(Architecture::NATIVE, "clone3"),
        Some(libc::SYS_clone3 as u32)
    );
}

#[test]
fn every_call_of_every_architecture_gets_its_own_answer() {
    let names: Vec<&str> = table::TABLE
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| *name != "cachestat")
        .collect();
    let odd: Vec<&str> = names.iter().copied().step_by(2).collect();
    let program = compile(&filter(vec![rule(&odd, Action::Allow, &[])])).unwrap();
    for architecture in filter(Vec::new()).architectures {
        let bit = if architecture == Architecture::X32 {
            X32_BIT
        } else {
            0
        };
        let odd_numbers: Vec<u32> = odd
            .iter()
            .filter_map(|name| number_of(architecture, name))
            .collect();
        let newest = odd_numbers
            .iter()
            .filter(|number| **number < 0x000f_0000)
            .max()
            .unwrap();
        for number in 0..600 {
            let expected = match (odd_numbers.contains(&number), number > *newest) {
                (true, _) => ALLOW,
                (false, true) => ENOSYS,
                (false, false) => EPERM,
            };
            // On 32-bit x86 the sub-calls of two calls are asked for with their number.
            let arguments = [u64::MAX; 6];
            assert_eq!(
                ask(&program, architecture, number | bit, arguments),
                expected,
                "{architecture:?} {number}"
            );
        }
    }
}

#[test]
fn calls_of_other_architectures_kill() {
    let program = compile(&Filter {
        architectures: Vec::new(),
        ..filter(vec![rule(&["read"], Action::Allow, &[])])
    });
    let program = program.unwrap();
    let other = if Architecture::NATIVE == Architecture::Arm {
        Architecture::X86
    } else {
        Architecture::Arm
    };
    assert_eq!(ask(&program, other, 0, [0; 6]), 0);
    let read = number_of(Architecture::NATIVE, "read").unwrap();
    assert_eq!(ask(&program, Architecture::NATIVE, read, [0; 6]), ALLOW);
    if Architecture::NATIVE == Architecture::X86_64 {
        assert_eq!(
            ask(&program, Architecture::X86_64, X32_BIT, [0; 6]),
            0,
            "x32 is not covered"
        );
        assert_eq!(
            ask(&program, Architecture::X86_64, u32::MAX, [0; 6]),
            EPERM,
            "a tracer skips a call"
        );
    }
}

/// Whether an argument and a value are as a comparison wants them.
type Holds = fn(u64, u64) -> bool;

#[test]
fn arguments_are_compared_with_all_64_bits() {
    let big = 1 << 40;
    let interesting = [
        0,
        1,
        5,
        6,
        7,
        big - 1,
        big,
        big + 1,
        big + 6,
        u64::from(u32::MAX),
        u64::MAX,
    ];
    for value in interesting {
        let comparisons: [(Comparison, Holds); 7] = [
            (Comparison::Equal, |argument, value| argument == value),
            (Comparison::NotEqual, |argument, value| argument != value),
            (Comparison::Less, |argument, value| argument < value),
            (Comparison::LessOrEqual, |argument, value| argument <= value),
            (Comparison::Greater, |argument, value| argument > value),
            (Comparison::GreaterOrEqual, |argument, value| {
                argument >= value
            }),
            (
                Comparison::MaskedEqual(0xff_0000_0006),
                |argument, value| argument & 0xff_0000_0006 == value,
            ),
        ];
        for (comparison, holds) in comparisons {
            let condition = Condition {
                argument: 2,
                comparison,
                value,
            };
            let program =
                compile(&filter(vec![rule(&["write"], Action::Allow, &[condition])])).unwrap();
            for argument in interesting {
                let expected = if holds(argument, value) { ALLOW } else { EPERM };
                let answer = ask(&program, Architecture::X86_64, 1, [9, 9, argument, 9, 9, 9]);
                assert_eq!(answer, expected, "{argument:#x} {comparison:?} {value:#x}");
            }
        }
    }
}

#[test]
fn conditions_add_up_unless_they_are_about_one_argument() {
    let equal = |argument, value| Condition {
        argument,
        comparison: Comparison::Equal,
        value,
    };
    let both = rule(&["write"], Action::Allow, &[equal(0, 1), equal(1, 2)]);
    let either = rule(&["read"], Action::Errno(7), &[equal(0, 1), equal(0, 2)]);
    let program = compile(&filter(vec![both, either])).unwrap();
    let ask = |number, arguments: [u64; 2]| {
        let arguments = [arguments[0], arguments[1], 0, 0, 0, 0];
        ask(&program, Architecture::X86_64, number, arguments)
    };
    assert_eq!(
        [ask(1, [1, 2]), ask(1, [1, 3]), ask(1, [0, 2])],
        [ALLOW, EPERM, EPERM]
    );
    assert_eq!(
        [ask(0, [1, 0]), ask(0, [2, 0]), ask(0, [3, 0])],
        [0x0005_0007, 0x0005_0007, EPERM]
    );
}

#[test]
fn a_rule_without_conditions_beats_those_with() {
    let five = Condition {
        argument: 0,
        comparison: Comparison::Equal,
        value: 5,
    };
    let narrow = rule(&["read"], Action::Errno(9), &[five]);
    let broad = rule(&["read"], Action::Allow, &[]);
    for rules in [vec![narrow.clone(), broad.clone()], vec![broad, narrow]] {
        let program = compile(&filter(rules)).unwrap();
        assert_eq!(ask(&program, Architecture::X86_64, 0, [5; 6]), ALLOW);
    }
}

#[test]
fn old_x86_programs_reach_sockets_through_one_call() {
    let program = compile(&filter(vec![rule(
        &["socket", "shmctl"],
        Action::Allow,
        &[],
    )]))
    .unwrap();
    let socketcall = |sub| ask(&program, Architecture::X86, 102, [sub, 0, 0, 0, 0, 0]);
    assert_eq!([socketcall(1), socketcall(2)], [ALLOW, EPERM]);
    assert_eq!(
        ask(&program, Architecture::X86, 117, [24, 0, 0, 0, 0, 0]),
        ALLOW
    );
}

#[test]
fn bad_filters_are_refused() {
    let seven = Condition {
        argument: 6,
        comparison: Comparison::Equal,
        value: 0,
    };
    let refused = compile(&filter(vec![rule(&["read"], Action::Allow, &[seven])])).unwrap_err();
    assert_eq!(
        refused,
        SeccompError::Argument {
            name: "read".into(),
            argument: 6
        }
    );
    let many = (0..2000).map(|value| Condition {
        argument: 0,
        comparison: Comparison::Equal,
        value,
    });
    let rules = many
        .map(|condition| rule(&["read"], Action::Allow, &[condition]))
        .collect();
    assert!(matches!(
        compile(&filter(rules)),
        Err(SeccompError::TooLong(_))
    ));
}
