//! Gathers the rows: who I am, what is mine, what I may use, what I may do.

use std::fs;
use std::path::Path;

use crate::capabilities;
use crate::limits::{self, Limit, Limits};
use crate::namespaces::{self, Namespaces};
use crate::page::{Page, Row};
use crate::root;
use crate::status;

pub(crate) fn report() -> Page {
    let status = read("/proc/self/status");
    Page {
        greeting: format!(
            "Hello from Proa {}. This is what this container sees of itself.",
            env!("CARGO_PKG_VERSION")
        ),
        groups: vec![
            identity(&status),
            isolation(),
            allowance(&status),
            privileges(&status),
        ],
        farewell: "Try next:  proa run -it --rm -m 256m --cpus 0.5 debian:13 bash".into(),
    }
}

fn identity(status: &str) -> Vec<Row> {
    let age = status::age(&read("/proc/self/stat"), &read("/proc/uptime"));
    let pid = std::process::id();
    let mut process = if pid == 1 {
        "PID 1, the first of its own tree".into()
    } else {
        format!("PID {pid}")
    };
    if let Some(age) = age {
        process.push_str(&format!(", started {age:.2} s ago"));
    }
    vec![
        row("process", process),
        row("user", user(status)),
        row("host name", read("/proc/sys/kernel/hostname").trim()),
        row(
            "kernel",
            format!(
                "Linux {} on {}",
                read("/proc/sys/kernel/osrelease").trim(),
                std::env::consts::ARCH
            ),
        ),
    ]
}

fn user(status: &str) -> String {
    let uid = status::real_id(status, "Uid").unwrap_or_default();
    let gid = status::real_id(status, "Gid").unwrap_or_default();
    let passwd = read("/etc/passwd");
    let name = status::user_name(&passwd, uid).or((uid == 0).then_some("root"));
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    format!(
        "uid {uid}{name}, gid {gid}{}",
        mapped(&read("/proc/self/uid_map"))
    )
}

/// Whether user 0 here is somebody else outside.
fn mapped(map: &str) -> String {
    let numbers: Vec<_> = map.split_whitespace().collect();
    match numbers.as_slice() {
        ["0", outside, ..] if *outside != "0" => format!("; root here is {outside} outside"),
        _ => String::new(),
    }
}

fn isolation() -> Vec<Row> {
    let namespaces = namespaces::read(Path::new("/proc/self/ns"));
    let mounts = read("/proc/self/mountinfo");
    let root = root::describe(&mounts).unwrap_or_else(|| "unknown".into());
    vec![
        row("namespaces", own_and_shared(&namespaces)),
        row(
            "root",
            format!("{root}, {} more mounts", root::other_mounts(&mounts)),
        ),
        row("network", interfaces()),
    ]
}

fn own_and_shared(namespaces: &Namespaces) -> String {
    let (own, shared) = (namespaces.own.join(" "), namespaces.shared.join(" "));
    match (own.as_str(), shared.as_str()) {
        (own, "") => format!("{own}: all of its own"),
        ("", shared) => format!("{shared}: all the machine's"),
        (own, shared) => format!("{own} of its own; {shared} the machine's"),
    }
}

fn interfaces() -> String {
    let table = read("/proc/self/net/dev");
    let names: Vec<_> = table
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim()))
        .collect();
    match names.as_slice() {
        [] => "none".into(),
        ["lo"] => "lo: loopback alone".into(),
        _ => names.join(" "),
    }
}

fn allowance(status: &str) -> Vec<Row> {
    let limits = Limits::at(Path::new("/sys/fs/cgroup"));
    let seen = status::processors(status);
    let cpus = limits.cpus().map_or_else(
        || format!("no limit, {seen} seen"),
        |cpus| format!("{cpus} of {seen}"),
    );
    vec![
        row("memory", amount(&limits.memory(), limits::bytes)),
        row("processors", cpus),
        row(
            "processes",
            amount(&limits.pids(), |count| count.to_string()),
        ),
        row("cgroup", format!("version {}", limits.version())),
    ]
}

fn amount(limit: &Limit, text: impl Fn(u64) -> String) -> String {
    match (limit.used, limit.most) {
        (Some(used), Some(most)) => format!("{} of {}", text(used), text(most)),
        (Some(used), None) => format!("{}, no limit", text(used)),
        (None, Some(most)) => format!("at most {}", text(most)),
        (None, None) => "no limit".into(),
    }
}

fn privileges(status: &str) -> Vec<Row> {
    let names = capabilities::names(status::field(status, "CapEff").unwrap_or_default());
    let known = capabilities::known(&read("/proc/sys/kernel/cap_last_cap"));
    let list = capabilities::in_words(&names, known);
    let gain = if status::field(status, "NoNewPrivs") == Some("1") {
        "cannot be gained"
    } else {
        "setuid programs work"
    };
    vec![
        row(
            "capabilities",
            format!("{} of {known}: {list}", names.len())
                .trim_end_matches(": ")
                .to_owned(),
        ),
        row("seccomp", status::seccomp(status)),
        row("privileges", gain),
    ]
}

fn row(name: &'static str, text: impl Into<String>) -> Row {
    Row {
        name,
        text: text.into(),
    }
}

/// The text of a file, empty if it cannot be read: a container may hide any of them.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
