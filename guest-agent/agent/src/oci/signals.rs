//! Signals by name or number.

/// Names in the order of their numbers, from 1 on (`signal(7)`, x86 and ARM).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The number of `9`, `KILL`, `sigkill`, `RTMIN+1`.
pub(super) fn parse(text: &str) -> Option<i32> {
    const LAST: i32 = 64;
    if let Ok(number) = text.parse() {
        return (0..=LAST).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(position) = NAMES.iter().position(|known| *known == name) {
        return Some(position as i32 + 1);
    }
    let real_time = |rest: &str, base: i32| {
        if rest.is_empty() {
            Some(base)
        } else {
            Some(base + rest.parse::<i32>().ok()?)
        }
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => real_time(rest, 34)?,
        (None, Some(rest)) => real_time(rest, LAST)?,
        (None, None) => return None,
    };
    (34..=LAST).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_name_and_number() {
        let check = |text: &str, expected: Option<i32>| assert_eq!(parse(text), expected, "{text}");
        check("9", Some(9));
        check("KILL", Some(9));
        check("sigterm", Some(15));
        check("SIGSYS", Some(31));
        check("RTMIN+1", Some(35));
        check("SIGRTMAX-2", Some(62));
        check("65", None);
        check("NOPE", None);
    }
}
