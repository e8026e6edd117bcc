//! Rows into aligned text, coloured on a terminal.

use std::io::{IsTerminal as _, Write as _};

/// One line of the report: a name and what is known.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// A greeting, and groups of rows with a blank line between them.
pub(crate) struct Page {
    pub(crate) greeting: String,
    pub(crate) groups: Vec<Vec<Row>>,
    pub(crate) farewell: String,
}

const NAME_WIDTH: usize = 14;
const LINE_WIDTH: usize = 80;

pub(crate) fn print(page: &Page) {
    let mut out = std::io::stdout();
    let coloured = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // A reader that went away is no failure of a greeting.
    let _ = out.write_all(render(page, coloured).as_bytes());
}

fn render(page: &Page, coloured: bool) -> String {
    let (bold, dim, plain) = if coloured {
        ("\x1b[1m", "\x1b[36m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    let mut text = format!("{bold}{}{plain}\n", page.greeting);
    for group in &page.groups {
        text.push('\n');
        for row in group {
            let mut name = row.name;
            for line in wrap(&row.text, LINE_WIDTH - NAME_WIDTH - 2) {
                text.push_str(&format!("  {dim}{name:NAME_WIDTH$}{plain}{line}\n"));
                name = "";
            }
        }
    }
    format!("{text}\n{}\n", page.farewell)
}

/// Breaks at blanks.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_goes_on_below_itself() {
        let row = Row {
            name: "words",
            text: "word ".repeat(20).trim_end().to_owned(),
        };
        let page = Page {
            greeting: "Hello".into(),
            groups: vec![vec![row]],
            farewell: "Bye".into(),
        };
        let text = render(&page, false);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "Hello");
        assert!(lines[2].starts_with("  words         word word"));
        assert!(lines[3].starts_with("                word"));
        assert!(lines.iter().all(|line| line.len() <= LINE_WIDTH));
        assert_eq!(lines.last(), Some(&"Bye"));
    }

    #[test]
    fn colour_is_for_terminals() {
        let page = Page {
            greeting: "Hello".into(),
            groups: Vec::new(),
            farewell: String::new(),
        };
        assert!(!render(&page, false).contains('\x1b'));
        assert!(render(&page, true).starts_with("\x1b[1mHello\x1b[0m"));
    }
}
