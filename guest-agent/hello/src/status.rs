//! `/proc/self/status` and its neighbours: the process itself.

/// The value behind `key:` in a status file.
pub(crate) fn field<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(str::trim)
}

/// The first of the four numbers in a `Uid` or `Gid` line.
pub(crate) fn real_id(status: &str, key: &str) -> Option<u32> {
    field(status, key)?.split_whitespace().next()?.parse().ok()
}

/// What the number in the `Seccomp` line means.
pub(crate) fn seccomp(status: &str) -> String {
    match (field(status, "Seccomp"), field(status, "Seccomp_filters")) {
        (Some("2"), Some(count)) => format!("filtered, {count} program{}", plural(count)),
        (Some("2"), None) => "filtered".into(),
        (Some("1"), _) => "strict".into(),
        (Some(_), _) => "off: every system call is allowed".into(),
        (None, _) => "not in this kernel".into(),
    }
}

pub(crate) fn plural(count: &str) -> &'static str {
    if count == "1" { "" } else { "s" }
}

/// How many processors the process may run on: the length of a list such as `0-1,3`.
pub(crate) fn processors(status: &str) -> usize {
    let ranges = field(status, "Cpus_allowed_list")
        .unwrap_or_default()
        .split(',');
    ranges
        .filter_map(|range| length(range.split_once('-').unwrap_or((range, range))))
        .sum()
}

fn length((first, last): (&str, &str)) -> Option<usize> {
    last.parse::<usize>()
        .ok()?
        .checked_sub(first.parse().ok()?)?
        .checked_add(1)
}

/// Seconds since the process began, from the 22nd field of `/proc/self/stat` (in hundredths) and `/proc/uptime`.
pub(crate) fn age(stat: &str, uptime: &str) -> Option<f64> {
    // The second field is the program's name in brackets, and may hold blanks.
    let (_, rest) = stat.rsplit_once(')')?;
    let began: f64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    let now: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    Some((now - began / 100.0).max(0.0))
}

/// The name of a user in the text of `/etc/passwd`.
pub(crate) fn user_name(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        "Name:\thello\nUid:\t1000\t0\t0\t0\nNoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n";

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        assert_eq!(field(STATUS, "Seccomp"), Some("2"));
        assert_eq!(field(STATUS, "No"), None);
        assert_eq!(real_id(STATUS, "Uid"), Some(1000));
    }

    #[test]
    fn seccomp_is_told_in_words() {
        assert_eq!(seccomp(STATUS), "filtered, 1 program");
        assert_eq!(
            seccomp("Seccomp:\t0\n"),
            "off: every system call is allowed"
        );
        assert_eq!(seccomp(""), "not in this kernel");
    }

    #[test]
    fn processors_are_counted() {
        assert_eq!(processors("Cpus_allowed_list:\t0-1,3\n"), 3);
        assert_eq!(processors("Cpus_allowed_list:\t7\n"), 1);
        assert_eq!(processors(""), 0);
    }

    #[test]
    fn a_name_with_brackets_does_not_confuse_the_age() {
        let fields = "S 0 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 12345 0";
        assert_eq!(
            age(&format!("1 (a) b) {fields}"), "124.95 0.00"),
            Some(124.95 - 123.45)
        );
        assert_eq!(age("1 (a", "1 1"), None);
    }

    #[test]
    fn users_are_found_by_number() {
        assert_eq!(
            user_name("root:x:0:0:root:/root:/bin/sh\nme:x:7:7::/:", 7),
            Some("me")
        );
        assert_eq!(user_name("root:x:0:0::/:", 1), None);
    }
}
