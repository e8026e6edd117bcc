//! From rules by name to a program: per architecture a map from number to answer, searched by halves.

use std::collections::BTreeMap;

use super::emit::{ARCHITECTURE, Instruction, NUMBER, answer, choose, load, only_if_equal, rule};
use super::multiplex::multiplexed;
use super::{Action, Architecture, Comparison, Condition, Filter, Rule, X32_BIT, number_of};

/// The kernel's limit on instructions (`BPF_MAXINSNS`).
const LONGEST: usize = 4096;
/// ARM's private calls start here; they say nothing of how new a profile is.
const ARM_PRIVATE: u32 = 0x000f_0000;

/// A compiled filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
}

impl Program {
    /// The instructions as the kernel reads them, eight bytes each.
    pub fn bytes(&self) -> Vec<u8> {
        let bytes = |instruction: &Instruction| {
            let mut bytes = [0u8; 8];
            bytes[..2].copy_from_slice(&instruction.code.to_ne_bytes());
            bytes[2] = instruction.jt;
            bytes[3] = instruction.jf;
            bytes[4..].copy_from_slice(&instruction.k.to_ne_bytes());
            bytes
        };
        self.instructions.iter().flat_map(bytes).collect()
    }

    /// How many instructions it has.
    pub fn length(&self) -> usize {
        self.instructions.len()
    }

    #[cfg(test)]
    pub(super) fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }
}

/// A filter that cannot become a program.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SeccompError {
    /// Calls have six arguments.
    #[error(
        "a seccomp rule for {name} has a condition on argument {argument}; arguments are 0 to 5"
    )]
    Argument {
        /// A call of the rule.
        name: String,
        /// The number given.
        argument: u8,
    },
    /// More than the kernel takes.
    #[error("the seccomp profile needs {0} instructions; the kernel takes {LONGEST}")]
    TooLong(usize),
}

/// What happens to one call, or to every call of a range of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Always(Action),
    /// The first whose conditions hold, else the default.
    First(Vec<(Vec<Condition>, Action)>),
}

/// Compiles `filter`.
pub fn compile(filter: &Filter) -> Result<Program, SeccompError> {
    for rule in &filter.rules {
        if let Some(bad) = rule
            .conditions
            .iter()
            .find(|condition| condition.argument > 5)
        {
            let name = rule.names.first().cloned().unwrap_or_default();
            return Err(SeccompError::Argument {
                name,
                argument: bad.argument,
            });
        }
    }
    let mut covered = vec![Architecture::NATIVE];
    for architecture in &filter.architectures {
        if !covered.contains(architecture) {
            covered.push(*architecture);
        }
    }
    let mut instructions = vec![load(ARCHITECTURE)];
    for section in covered
        .iter()
        .filter(|architecture| **architecture != Architecture::X32)
    {
        let x32 = *section == Architecture::X86_64 && covered.contains(&Architecture::X32);
        instructions.extend(only_if_equal(section.token(), body(filter, *section, x32)));
    }
    instructions.push(answer(Action::KillThread));
    if instructions.len() > LONGEST {
        return Err(SeccompError::TooLong(instructions.len()));
    }
    Ok(Program { instructions })
}

/// The part for calls of one architecture; that of x86_64 holds x32's too.
fn body(filter: &Filter, architecture: Architecture, x32: bool) -> Vec<Instruction> {
    let mut ranges = ranges(filter, architecture, 0);
    if architecture == Architecture::X86_64 {
        if x32 {
            ranges.extend(self::ranges(filter, Architecture::X32, X32_BIT));
        } else {
            ranges.push((X32_BIT, Answer::Always(Action::KillThread)));
            // What a tracer sets to skip a call is not an x32 call.
            ranges.push((u32::MAX, Answer::Always(filter.default)));
        }
    }
    ranges.dedup_by(|second, first| second.1 == first.1);
    let mut code = vec![load(NUMBER)];
    code.extend(search(&ranges, filter.default, architecture.is_wide()));
    code
}

/// Each answer with the first number that gets it, ascending from `base`.
fn ranges(filter: &Filter, architecture: Architecture, base: u32) -> Vec<(u32, Answer)> {
    let answers = answers(filter, architecture);
    let newest = newest(filter, architecture);
    let mut ranges = vec![(base, Answer::Always(filter.default))];
    for (number, answer) in answers {
        ranges.retain(|(start, _)| *start != base + number);
        ranges.push((base + number, answer));
        ranges.push((base + number + 1, Answer::Always(filter.default)));
    }
    if let (Some(newest), Some(unknown)) = (newest, unknown(filter.default)) {
        for (_, answer) in ranges
            .iter_mut()
            .filter(|(start, _)| *start > base + newest && *start < base + ARM_PRIVATE)
        {
            if *answer == Answer::Always(filter.default) {
                *answer = Answer::Always(unknown);
            }
        }
    }
    ranges
}

/// What calls get that are newer than the profile.
fn unknown(default: Action) -> Option<Action> {
    match default {
        Action::Errno(number) if i32::from(number) != libc::ENOSYS => {
            Some(Action::Errno(libc::ENOSYS as u16))
        }
        Action::Errno(_)
        | Action::KillProcess
        | Action::KillThread
        | Action::Trap(_)
        | Action::Notify
        | Action::Trace(_)
        | Action::Log
        | Action::Allow => None,
    }
}

/// The newest call that the rules name.
fn newest(filter: &Filter, architecture: Architecture) -> Option<u32> {
    let names = filter.rules.iter().flat_map(|rule| &rule.names);
    names
        .filter_map(|name| number_of(architecture, name))
        .filter(|number| *number < ARM_PRIVATE)
        .max()
}

/// Answers by number.
fn answers(filter: &Filter, architecture: Architecture) -> BTreeMap<u32, Answer> {
    let mut answers = BTreeMap::new();
    for rule in filter
        .rules
        .iter()
        .filter(|rule| rule.action != filter.default)
    {
        for name in &rule.names {
            if let Some(number) = number_of(architecture, name) {
                add(&mut answers, number, rule);
            }
            if architecture == Architecture::X86 && rule.conditions.is_empty() {
                add_multiplexed(&mut answers, name, rule.action);
            }
        }
    }
    answers
}

fn add(answers: &mut BTreeMap<u32, Answer>, number: u32, rule: &Rule) {
    if rule.conditions.is_empty() {
        match answers.get(&number) {
            Some(Answer::Always(_)) => (),
            Some(Answer::First(_)) | None => {
                answers.insert(number, Answer::Always(rule.action));
            }
        }
        return;
    }
    match answers
        .entry(number)
        .or_insert_with(|| Answer::First(Vec::new()))
    {
        Answer::Always(_) => (),
        Answer::First(alternatives) => {
            if repeats(&rule.conditions) {
                alternatives.extend(
                    rule.conditions
                        .iter()
                        .map(|condition| (vec![*condition], rule.action)),
                );
            } else {
                alternatives.push((rule.conditions.clone(), rule.action));
            }
        }
    }
}

/// Whether two conditions are about the same argument.
fn repeats(conditions: &[Condition]) -> bool {
    let mut seen = [false; 6];
    conditions
        .iter()
        .any(|condition| std::mem::replace(&mut seen[usize::from(condition.argument)], true))
}

fn add_multiplexed(answers: &mut BTreeMap<u32, Answer>, name: &str, action: Action) {
    let Some((call, sub)) = multiplexed(name) else {
        return;
    };
    let Some(number) = number_of(Architecture::X86, call) else {
        return;
    };
    let conditions = vec![Condition {
        argument: 0,
        comparison: Comparison::Equal,
        value: sub,
    }];
    add(
        answers,
        number,
        &Rule {
            names: Vec::new(),
            action,
            conditions,
        },
    );
}

/// A balanced tree over the ranges' bounds.
fn search(ranges: &[(u32, Answer)], default: Action, wide: bool) -> Vec<Instruction> {
    match ranges {
        [] => vec![answer(default)],
        [(_, Answer::Always(action))] => vec![answer(*action)],
        [(_, Answer::First(alternatives))] => {
            let rules = alternatives
                .iter()
                .flat_map(|(conditions, action)| rule(conditions, *action, wide));
            rules.chain([answer(default)]).collect()
        }
        _ => {
            let (below, above) = ranges.split_at(ranges.len() / 2);
            choose(
                above[0].0,
                search(below, default, wide),
                search(above, default, wide),
            )
        }
    }
}
