//! Rules of the source tree that no compiler checks: which crate may use which, what every file opens with, names
//! nobody should choose, what lies at the top level.
//!
//! Each test collects every violation and prints them all, so that one run is enough to mend them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crate, and the crates of this workspace it may depend on: the arrows of the README's picture.
const EDGES: &[(&str, &[&str])] = &[
    ("proa-protocol", &[]),
    ("proa-kernel", &[]),
    ("proa-images", &["proa-kernel"]),
    ("proa-runtime", &["proa-kernel"]),
    ("proa-networks", &["proa-kernel"]),
    (
        "proa-engine",
        &[
            "proa-images",
            "proa-runtime",
            "proa-networks",
            "proa-protocol",
            "proa-kernel",
        ],
    ),
    ("proa-build", &["proa-engine", "proa-images"]),
    (
        "proa-agent",
        &[
            "proa-engine",
            "proa-build",
            "proa-kernel",
            "proa-protocol",
            "proa-runtime",
        ],
    ),
    ("proa-hello", &[]),
    ("capng", &[]),
    ("proa-boot", &["proa-kernel"]),
    ("proa-vm", &[]),
    ("proa-host", &["proa-vm", "proa-protocol"]),
    ("proa-cli", &["proa-host"]),
    ("proa-desktop", &["proa-host"]),
];

/// Everything the top level may hold, beside dot-files.
const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "app",
    "guest-agent",
    "scripts",
    "tests",
    "ui",
    "vm-image",
];

/// Crates whose business is `unsafe`.
const UNSAFE_HOMES: &[&str] = &["guest-agent/kernel/", "app/vm/"];

/// Words that say nothing about the thing they name.
const BANNED_WORDS: &[&str] = &[
    "Manager",
    "Helper",
    "Util",
    "Utils",
    "Common",
    "Misc",
    "Processor",
    "Data",
];
const BANNED_STARTS: &[&str] = &["do_", "handle_", "process_", "get_"];

/// Names that a foreign interface gives: a trait of `vhost-user-backend`, the crate that ours stands in for.
const GIVEN_NAMES: &[(&str, &str)] = &[
    ("app/vm/src/devices/vsock/device.rs", "handle_event"),
    ("app/vm/src/devices/vsock/device.rs", "get_config"),
    ("app/vm/capng/src/lib.rs", "get_caps_process"),
];

/// A file longer than this holds two ideas.
const LONGEST_FILE: usize = 600;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("two folders up is the top level")
        .to_owned()
}

/// Files that are in git or would be added to it, relative to the top level.
fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(top())
        .output()
        .expect("git is installed");
    assert!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let listed = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    listed
        .lines()
        .filter(|name| top().join(name).is_file())
        .map(str::to_owned)
        .collect()
}

fn rust_files() -> Vec<(String, String)> {
    files()
        .into_iter()
        .filter(|name| name.ends_with(".rs"))
        .map(|name| (read(&name), name))
        .map(|(t, n)| (n, t))
        .collect()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(top().join(name)).unwrap_or_else(|error| panic!("read {name}: {error}"))
}

fn none(rule: &str, violations: &[String]) {
    assert!(
        violations.is_empty(),
        "{rule}:\n  {}",
        violations.join("\n  ")
    );
}

/// The tables of a `Cargo.toml`: header to lines, comments and blanks left out.
fn tables(manifest: &str) -> BTreeMap<String, Vec<String>> {
    let mut tables = BTreeMap::<String, Vec<String>>::new();
    let mut current = String::new();
    for line in manifest
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        match line.strip_prefix('[') {
            Some(header) => current = header.trim_end_matches(']').to_owned(),
            None => tables
                .entry(current.clone())
                .or_default()
                .push(line.to_owned()),
        }
    }
    tables
}

fn key(line: &str) -> &str {
    line.split(['=', '.', ' ']).next().unwrap_or_default()
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let mut violations = Vec::new();
    for manifest in files().into_iter().filter(|name| is_product_manifest(name)) {
        let tables = tables(&read(&manifest));
        let named = tables["package"]
            .iter()
            .find(|line| key(line) == "name")
            .expect("a package has a name");
        let package = named.split('"').nth(1).expect("a name is quoted");
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package) else {
            violations.push(format!("{package} is not in the table of edges"));
            continue;
        };
        let dependencies = tables
            .iter()
            .filter(|(header, _)| is_product_dependencies(header));
        for dependency in dependencies
            .flat_map(|(_, lines)| lines)
            .map(|line| key(line))
        {
            if dependency.starts_with("proa-") && !allowed.contains(&dependency) {
                violations.push(format!("{package} may not use {dependency}"));
            }
        }
    }
    none("crate edges", &violations);
}

/// Fuzz targets are workspaces of their own, which the product's build never sees.
fn is_product_manifest(name: &str) -> bool {
    name.ends_with("/Cargo.toml") && !name.contains("/fuzz/")
}

fn is_product_dependencies(header: &str) -> bool {
    header == "dependencies" || (header.starts_with("target.") && header.ends_with(".dependencies"))
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = read("Cargo.toml");
    let violations: Vec<_> = manifest
        .lines()
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.contains('=') && !line.contains("path =") && !line.contains(" # "))
        .map(str::to_owned)
        .collect();
    none("a dependency without its purpose", &violations);
}

#[test]
fn members_take_versions_from_the_workspace() {
    let mut violations = Vec::new();
    for manifest in files().into_iter().filter(|name| is_product_manifest(name)) {
        for (_, lines) in tables(&read(&manifest))
            .iter()
            .filter(|(header, _)| header.ends_with("dependencies"))
        {
            let own = lines
                .iter()
                .filter(|line| line.contains('=') && !line.contains("workspace = true"));
            violations.extend(own.map(|line| format!("{manifest}: {line}")));
        }
    }
    none("a version outside the workspace's table", &violations);
}

#[test]
fn every_file_opens_with_what_it_is() {
    let violations: Vec<_> = rust_files()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(name, _)| name)
        .collect();
    none("files that do not open with //!", &violations);
}

#[test]
fn files_hold_one_idea() {
    let violations: Vec<_> = rust_files()
        .into_iter()
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    none("files too long", &violations);
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = [
        ["#[ig", "nore"].concat(),
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
        ["FIX", "ME"].concat(),
    ];
    let mut violations = Vec::new();
    for (name, text) in rust_files() {
        for (number, line) in numbered(&text)
            .filter(|(_, line)| marks.iter().any(|mark| line.contains(mark.as_str())))
        {
            violations.push(format!("{name}:{number}: {}", line.trim()));
        }
    }
    none("unfinished or skipped", &violations);
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

#[test]
fn names_say_what_they_name() {
    let mut violations = Vec::new();
    for (name, text) in rust_files() {
        for (number, line) in numbered(&text) {
            if let Some(defined) = defined_name(line)
                && is_banned(defined)
                && !(defined.contains("Handler") && name.contains("/routes/"))
                // Named so by the trait of `http-body`.
                && !line.contains("type Data = ")
                && !GIVEN_NAMES.contains(&(name.as_str(), defined))
            {
                violations.push(format!("{name}:{number}: {defined}"));
            }
        }
    }
    none("names that say nothing", &violations);
}

/// The name that a line defines, if it opens a type, a module or a function.
fn defined_name(line: &str) -> Option<&str> {
    let mut words = line
        .trim_start()
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty());
    if line.trim_start().starts_with("//") {
        return None;
    }
    let mut word = words.next()?;
    while matches!(
        word,
        "pub" | "crate" | "super" | "async" | "const" | "unsafe" | "extern"
    ) {
        word = words.next()?;
    }
    matches!(word, "struct" | "enum" | "trait" | "type" | "mod" | "fn").then(|| words.next())?
}

fn is_banned(name: &str) -> bool {
    if BANNED_STARTS.iter().any(|start| name.starts_with(start)) {
        return true;
    }
    camel_words(name).any(|word| word == "Handler" || BANNED_WORDS.contains(&word))
        || BANNED_WORDS.iter().any(|word| word.to_lowercase() == name)
}

/// `PullManager` → `Pull`, `Manager`.
fn camel_words(name: &str) -> impl Iterator<Item = &str> {
    let mut starts: Vec<_> = name
        .char_indices()
        .filter(|(_, c)| c.is_uppercase())
        .map(|(at, _)| at)
        .collect();
    starts.push(name.len());
    (0..starts.len() - 1).map(move |index| &name[starts[index]..starts[index + 1]])
}

#[test]
fn unsafe_has_an_address() {
    let mut violations = Vec::new();
    for (name, text) in rust_files() {
        if UNSAFE_HOMES.iter().any(|home| name.starts_with(home)) || name == "tests/tidy.rs" {
            continue;
        }
        for (number, line) in numbered(&text) {
            let code = line.split("//").next().unwrap_or_default();
            let opens = [
                "unsafe {",
                "unsafe fn",
                "unsafe impl",
                "unsafe extern",
                "allow(unsafe_code)",
                "expect(unsafe_code",
            ];
            if opens.iter().any(|open| code.contains(open)) {
                violations.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    none("unsafe outside the crates that are for it", &violations);
}

#[test]
fn the_top_level_holds_what_belongs_there() {
    let mut violations: Vec<_> = files()
        .iter()
        .map(|name| name.split('/').next().unwrap_or_default().to_owned())
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    violations.dedup();
    none("at the top level", &violations);
}

/// Mirrors differ from place to place, so scripts ask the machine for its own.
#[test]
fn no_package_registry_is_named() {
    let hosts = [
        ["deb.", "debian.org"],
        ["security.", "debian.org"],
        ["ftp.", "debian.org"],
        ["archive.", "ubuntu.com"],
        ["crates", ".io"],
        ["static.rust-", "lang.org"],
        ["sh.rust", "up.rs"],
        ["pypi", ".org"],
        ["files.python", "hosted.org"],
        ["registry.npm", "js.org"],
        ["proxy.go", "lang.org"],
    ]
    .map(|parts| parts.concat());
    let mut violations = Vec::new();
    for name in files().into_iter().filter(|name| name != "Cargo.lock") {
        let Ok(text) = std::fs::read_to_string(top().join(&name)) else {
            continue;
        };
        for (number, line) in numbered(&text)
            .filter(|(_, line)| hosts.iter().any(|host| line.contains(host.as_str())))
        {
            violations.push(format!("{name}:{number}: {}", line.trim()));
        }
    }
    none("package registries named", &violations);
}
