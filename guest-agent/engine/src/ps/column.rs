//! The columns `ps` can show: their names on the command line, titles, and how a cell is written (ps(1)).

use super::process::{Facts, Process};

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    Args,
    Command,
    Cpu,
    CpuPercent,
    Elapsed,
    Gid,
    MemoryPercent,
    Nice,
    Parent,
    Pid,
    Priority,
    ProcessGroup,
    Resident,
    Session,
    Size,
    Start,
    State,
    StartTime,
    StateLong,
    Terminal,
    Threads,
    Time,
    Uid,
    UserFull,
    User,
    CommandTitle,
}

/// `-f`.
pub(super) const FULL: [Column; 8] = [
    Column::UserFull,
    Column::Pid,
    Column::Parent,
    Column::Cpu,
    Column::StartTime,
    Column::Terminal,
    Column::Time,
    Column::CommandTitle,
];

/// `u`.
pub(super) const USER: [Column; 11] = [
    Column::User,
    Column::Pid,
    Column::CpuPercent,
    Column::MemoryPercent,
    Column::Size,
    Column::Resident,
    Column::Terminal,
    Column::StateLong,
    Column::Start,
    Column::Time,
    Column::Args,
];

/// Neither.
pub(super) const SHORT: [Column; 4] = [
    Column::Pid,
    Column::Terminal,
    Column::Time,
    Column::CommandTitle,
];

/// The column with this name after `-o`.
pub(super) fn named(name: &str) -> Option<Column> {
    Some(match name {
        "args" | "cmd" | "command" => Column::Args,
        "comm" | "ucmd" | "ucomm" => Column::Command,
        "c" => Column::Cpu,
        "%cpu" | "pcpu" => Column::CpuPercent,
        "etime" => Column::Elapsed,
        "gid" | "egid" => Column::Gid,
        "%mem" | "pmem" => Column::MemoryPercent,
        "ni" | "nice" => Column::Nice,
        "ppid" => Column::Parent,
        "pid" => Column::Pid,
        "pri" => Column::Priority,
        "pgid" | "pgrp" => Column::ProcessGroup,
        "rss" | "rssize" | "rsz" => Column::Resident,
        "sid" | "sess" => Column::Session,
        "vsz" | "vsize" => Column::Size,
        "start" => Column::Start,
        "s" | "state" => Column::State,
        "stime" => Column::StartTime,
        "stat" => Column::StateLong,
        "tty" | "tt" | "tname" => Column::Terminal,
        "nlwp" | "thcount" => Column::Threads,
        "time" | "cputime" => Column::Time,
        "uid" | "euid" => Column::Uid,
        "user" | "euser" | "uname" => Column::User,
        _ => return None,
    })
}

impl Column {
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Args | Self::Command => "COMMAND",
            Self::CommandTitle => "CMD",
            Self::Cpu => "C",
            Self::CpuPercent => "%CPU",
            Self::Elapsed => "ELAPSED",
            Self::Gid => "GID",
            Self::MemoryPercent => "%MEM",
            Self::Nice => "NI",
            Self::Parent => "PPID",
            Self::Pid => "PID",
            Self::Priority => "PRI",
            Self::ProcessGroup => "PGID",
            Self::Resident => "RSS",
            Self::Session => "SID",
            Self::Size => "VSZ",
            Self::Start => "START",
            Self::State => "S",
            Self::StartTime => "STIME",
            Self::StateLong => "STAT",
            Self::Terminal => "TTY",
            Self::Threads => "NLWP",
            Self::Time => "TIME",
            Self::Uid | Self::UserFull => "UID",
            Self::User => "USER",
        }
    }

    pub(super) fn cell(self, process: &Process, facts: &Facts) -> String {
        let age = facts
            .uptime
            .saturating_sub(process.started / facts.hertz.max(1));
        let used = process.ticks / facts.hertz.max(1);
        match self {
            Self::Args | Self::CommandTitle => process.arguments.clone(),
            Self::Command => process.command.clone(),
            Self::Cpu => (used * 100)
                .checked_div(age)
                .unwrap_or(0)
                .min(99)
                .to_string(),
            Self::CpuPercent => tenths((used * 1000).checked_div(age).unwrap_or(0)),
            Self::Elapsed => elapsed(age),
            Self::Gid => process.gid.to_string(),
            Self::MemoryPercent => tenths(process.resident * 1000 / facts.memory.max(1)),
            Self::Nice => process.nice.to_string(),
            Self::Parent => process.parent.to_string(),
            Self::Pid => process.pid.to_string(),
            Self::Priority => (39 - process.priority).to_string(),
            Self::ProcessGroup => process.group.to_string(),
            Self::Resident => process.resident.to_string(),
            Self::Session => process.session.to_string(),
            Self::Size => process.size.to_string(),
            Self::Start | Self::StartTime => started(facts.now, age),
            Self::State => process.state.to_string(),
            Self::StateLong => long_state(process),
            Self::Terminal => terminal(process.terminal),
            Self::Threads => process.threads.to_string(),
            Self::Time => format!("{:02}:{:02}:{:02}", used / 3600, used / 60 % 60, used % 60),
            Self::Uid => process.uid.to_string(),
            Self::User | Self::UserFull => facts
                .users
                .get(&process.uid)
                .cloned()
                .unwrap_or_else(|| process.uid.to_string()),
        }
    }
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

/// `[[days-]hours:]minutes:seconds`.
fn elapsed(age: u64) -> String {
    let (days, hours, rest) = (
        age / 86_400,
        age / 3600 % 24,
        format!("{:02}:{:02}", age / 60 % 60, age % 60),
    );
    match (days, hours) {
        (0, 0) => rest,
        (0, _) => format!("{hours:02}:{rest}"),
        _ => format!("{days}-{hours:02}:{rest}"),
    }
}

/// The time of day for what started within a day, else the date.
fn started(now: i64, age: u64) -> String {
    let at = jiff::Timestamp::from_second(now - age as i64).unwrap_or_default();
    at.strftime(if age < 86_400 { "%H:%M" } else { "%b%d" })
        .to_string()
}

/// The state letter with its marks: `<` high priority, `N` nice, `s` session leader, `l` threads, `+` foreground.
fn long_state(process: &Process) -> String {
    let mut text = String::from(process.state);
    let marks = [
        (process.nice < 0, '<'),
        (process.nice > 0, 'N'),
        (process.session == process.pid, 's'),
        (process.threads > 1, 'l'),
        (process.foreground == i64::from(process.group), '+'),
    ];
    text.extend(marks.iter().filter(|(set, _)| *set).map(|(_, mark)| mark));
    text
}

/// The controlling terminal by its device number: only pseudo-terminals and consoles occur.
fn terminal(number: u32) -> String {
    let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xfff00);
    match major {
        0 => "?".to_owned(),
        4 => format!("tty{minor}"),
        136..=143 => format!("pts/{}", minor + (major - 136) * 256),
        _ => format!("{major}:{minor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_ps_does() {
        assert_eq!(elapsed(59), "00:59");
        assert_eq!(elapsed(3_661), "01:01:01");
        assert_eq!(elapsed(90_061), "1-01:01:01");
        assert_eq!(terminal(34_816), "pts/0");
        assert_eq!(terminal(0), "?");
    }
}
