//! One process as `/proc` tells it (proc_pid_stat(5)), and the few facts about the machine that ages need.

use std::collections::HashMap;
use std::fs;

/// What all rows share.
pub(crate) struct Facts {
    /// Clock ticks a second.
    pub(super) hertz: u64,
    /// Seconds since boot.
    pub(super) uptime: u64,
    /// Seconds since the epoch.
    pub(super) now: i64,
    /// Physical memory, KiB.
    pub(super) memory: u64,
    /// The host's user names.
    pub(super) users: HashMap<u32, String>,
}

impl Facts {
    pub(super) fn read() -> Self {
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self {
            hertz: rustix::param::clock_ticks_per_second(),
            uptime: uptime
                .split('.')
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
            now: jiff::Timestamp::now().as_second(),
            memory: memory
                .split_whitespace()
                .nth(1)
                .and_then(|text| text.parse().ok())
                .unwrap_or(1),
            users: passwd.lines().filter_map(user).collect(),
        }
    }
}

fn user(line: &str) -> Option<(u32, String)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
}

/// One process.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    pub(super) pid: u32,
    pub(super) command: String,
    pub(super) state: char,
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) session: u32,
    pub(super) terminal: u32,
    pub(super) foreground: i64,
    pub(super) ticks: u64,
    pub(super) priority: i64,
    pub(super) nice: i64,
    pub(super) threads: u64,
    pub(super) started: u64,
    pub(super) size: u64,
    pub(super) resident: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) arguments: String,
}

impl Process {
    /// Reads one; `None` when it is gone.
    pub(crate) fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut process = Self::parse(&stat)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let id = |name: &str| {
            status.lines().find_map(|line| {
                line.strip_prefix(name)?
                    .split_whitespace()
                    .nth(1)?
                    .parse()
                    .ok()
            })
        };
        process.uid = id("Uid:").unwrap_or(0);
        process.gid = id("Gid:").unwrap_or(0);
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        process.arguments = String::from_utf8_lossy(&arguments)
            .trim_end_matches('\0')
            .replace('\0', " ");
        if process.arguments.is_empty() {
            process.arguments = format!("[{}]", process.command);
        }
        Some(process)
    }

    /// `/proc/PID/stat`. The command may hold spaces and parentheses, so it ends at the last one.
    fn parse(stat: &str) -> Option<Self> {
        let (pid, rest) = stat.split_once(" (")?;
        let (command, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Field numbers are the man page's, which counts from one and has the pid and the command first.
        let number = |field: usize| {
            fields
                .get(field - 3)
                .and_then(|text| text.parse::<i64>().ok())
        };
        let unsigned = |field: usize| number(field).map_or(0, |value| value.max(0) as u64);
        Some(Self {
            pid: pid.parse().ok()?,
            command: command.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: unsigned(4) as u32,
            group: unsigned(5) as u32,
            session: unsigned(6) as u32,
            terminal: unsigned(7) as u32,
            foreground: number(8).unwrap_or(-1),
            ticks: unsigned(14) + unsigned(15),
            priority: number(18)?,
            nice: number(19)?,
            threads: unsigned(20),
            started: unsigned(22),
            size: unsigned(23) / 1024,
            resident: unsigned(24) * rustix::param::page_size() as u64 / 1024,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_hold_parentheses_and_spaces() {
        let stat = "7 (a) (b c) S 1 7 7 34816 9 0 0 0 0 0 150 50 0 0 20 0 3 0 1234 1048576 10";
        let process = Process::parse(stat).unwrap();
        assert_eq!(
            (process.command.as_str(), process.state, process.parent),
            ("a) (b c", 'S', 1)
        );
        assert_eq!(
            (
                process.ticks,
                process.threads,
                process.started,
                process.size
            ),
            (200, 3, 1234, 1024)
        );
    }

    #[test]
    fn rubbish_is_no_process() {
        assert_eq!(Process::parse(""), None);
        assert_eq!(Process::parse("x (y) z"), None);
    }
}
