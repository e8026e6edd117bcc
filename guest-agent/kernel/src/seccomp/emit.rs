//! Classic BPF instructions (`linux/filter.h`) and the pieces programs are put together from.

use super::{Action, Comparison, Condition};

/// One instruction: what to do, how far to jump if true and if false, and a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) jt: u8,
    pub(super) jf: u8,
    pub(super) k: u32,
}

pub(super) const LOAD: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const JUMP: u16 = 0x05;
pub(super) const JUMP_EQUAL: u16 = 0x15;
pub(super) const JUMP_GREATER: u16 = 0x25;
pub(super) const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
pub(super) const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

pub(super) fn load(offset: u32) -> Instruction {
    Instruction {
        code: LOAD,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

pub(super) fn jump(distance: usize) -> Instruction {
    Instruction {
        code: JUMP,
        jt: 0,
        jf: 0,
        k: distance as u32,
    }
}

pub(super) fn answer(action: Action) -> Instruction {
    Instruction {
        code: RETURN,
        jt: 0,
        jf: 0,
        k: action.code(),
    }
}

/// `below`, or `above` if the loaded number is at least `bound`.
pub(super) fn choose(
    bound: u32,
    below: Vec<Instruction>,
    above: Vec<Instruction>,
) -> Vec<Instruction> {
    let far = below.len();
    let branch = |jt, jf| Instruction {
        code: JUMP_GREATER_OR_EQUAL,
        jt,
        jf,
        k: bound,
    };
    let mut code = match u8::try_from(far) {
        Ok(near) => vec![branch(near, 0)],
        Err(_) => vec![branch(0, 1), jump(far)],
    };
    code.extend(below);
    code.extend(above);
    code
}

/// `body` if the loaded number is `value`, else what comes after it.
pub(super) fn only_if_equal(value: u32, body: Vec<Instruction>) -> Vec<Instruction> {
    let mut code = vec![
        Instruction {
            code: JUMP_EQUAL,
            jt: 1,
            jf: 0,
            k: value,
        },
        jump(body.len()),
    ];
    code.extend(body);
    code
}

/// Where a step of a comparison goes on.
#[derive(Clone, Copy)]
enum Then {
    /// The next instruction.
    On,
    /// The condition holds.
    Holds,
    /// It does not.
    Fails,
}

/// Answers with `action` if all `conditions` hold; falls through to what comes next otherwise.
pub(super) fn rule(conditions: &[Condition], action: Action, wide: bool) -> Vec<Instruction> {
    let mut code: Vec<Instruction> = vec![answer(action)];
    // From the back, so that the distance to the end is known.
    for condition in conditions.iter().rev() {
        let steps = steps(condition, wide);
        let length = steps.len();
        let to_end = code.len();
        let mut compiled = Vec::with_capacity(length);
        for (at, step) in steps.into_iter().enumerate() {
            let rest = length - at - 1;
            compiled.push(match step {
                Step::Plain(instruction) => instruction,
                Step::Branch { code, k, yes, no } => {
                    // At most six conditions of six instructions each: always within 255.
                    let distance = |then| match then {
                        Then::On => 0,
                        Then::Holds => rest as u8,
                        Then::Fails => (rest + to_end) as u8,
                    };
                    Instruction {
                        code,
                        jt: distance(yes),
                        jf: distance(no),
                        k,
                    }
                }
            });
        }
        compiled.append(&mut code);
        code = compiled;
    }
    code
}

enum Step {
    Plain(Instruction),
    Branch {
        code: u16,
        k: u32,
        yes: Then,
        no: Then,
    },
}

/// Arguments are compared in halves, as a BPF register has 32 bits.
fn steps(condition: &Condition, wide: bool) -> Vec<Step> {
    use Then::{Fails, Holds, On};
    let offset = ARGUMENTS + 8 * u32::from(condition.argument);
    let (high, low) = ((condition.value >> 32) as u32, condition.value as u32);
    let mut steps = Vec::new();
    let branch = |code, k, yes, no| Step::Branch { code, k, yes, no };
    let (load_high, load_low) = (Step::Plain(load(offset + 4)), Step::Plain(load(offset)));
    if let Comparison::MaskedEqual(mask) = condition.comparison {
        let and = |mask| {
            Step::Plain(Instruction {
                code: AND,
                jt: 0,
                jf: 0,
                k: mask,
            })
        };
        if wide && (mask >> 32 != 0 || high != 0) {
            steps.extend([
                load_high,
                and((mask >> 32) as u32),
                branch(JUMP_EQUAL, high, On, Fails),
            ]);
        }
        steps.extend([
            load_low,
            and(mask as u32),
            branch(JUMP_EQUAL, low, On, Fails),
        ]);
        return steps;
    }
    if wide {
        steps.push(load_high);
        match condition.comparison {
            Comparison::Equal | Comparison::MaskedEqual(_) => {
                steps.push(branch(JUMP_EQUAL, high, On, Fails));
            }
            Comparison::NotEqual => steps.push(branch(JUMP_EQUAL, high, On, Holds)),
            Comparison::Greater | Comparison::GreaterOrEqual => {
                steps.push(branch(JUMP_GREATER, high, Holds, On));
                steps.push(branch(JUMP_EQUAL, high, On, Fails));
            }
            Comparison::Less | Comparison::LessOrEqual => {
                steps.push(branch(JUMP_GREATER, high, Fails, On));
                steps.push(branch(JUMP_EQUAL, high, On, Holds));
            }
        }
    }
    steps.push(load_low);
    steps.push(match condition.comparison {
        Comparison::Equal | Comparison::MaskedEqual(_) => branch(JUMP_EQUAL, low, On, Fails),
        Comparison::NotEqual => branch(JUMP_EQUAL, low, Fails, On),
        Comparison::Greater => branch(JUMP_GREATER, low, On, Fails),
        Comparison::GreaterOrEqual => branch(JUMP_GREATER_OR_EQUAL, low, On, Fails),
        Comparison::Less => branch(JUMP_GREATER_OR_EQUAL, low, Fails, On),
        Comparison::LessOrEqual => branch(JUMP_GREATER, low, Fails, On),
    });
    steps
}
