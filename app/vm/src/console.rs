//! The guest's console, as the hypervisor writes it into a file.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// How much of the end is looked at, and how many lines of it are shown.
const TAIL_BYTES: u64 = 16 * 1024;
const TAIL_LINES: usize = 20;

/// The last lines; none where there is no console.
pub fn tail(path: &Path) -> Vec<String> {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path) {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let start = SeekFrom::Start(length.saturating_sub(TAIL_BYTES));
        // What cannot be read is not shown; the error that asks for it says more.
        if file.seek(start).is_ok() {
            drop(file.read_to_end(&mut bytes));
        }
    }
    last_lines(&String::from_utf8_lossy(&bytes))
}

/// Whether anything was written yet.
pub(crate) fn has_spoken(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}

/// Without what steers terminals, and without empty lines.
pub(crate) fn last_lines(text: &str) -> Vec<String> {
    let clean = |line: &str| {
        let printable = line.chars().filter(|c| !c.is_control());
        printable.collect::<String>().trim_end().to_owned()
    };
    let lines: Vec<String> = text.lines().map(clean).collect();
    let shown = lines.into_iter().filter(|line| !line.is_empty());
    let shown: Vec<String> = shown.collect();
    shown[shown.len().saturating_sub(TAIL_LINES)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_those_that_say_something() {
        let text: String = (0..50).map(|n| format!("line {n}\r\n\r\n")).collect();
        let lines = last_lines(&text);
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines.last().map(String::as_str), Some("line 49"));
        assert_eq!(last_lines("\u{1b}c\u{7}boot\n"), ["cboot"]);
    }

    #[test]
    fn no_console_has_no_lines() {
        assert!(tail(Path::new("/nowhere/at/all")).is_empty());
    }
}
