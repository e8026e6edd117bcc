//! Asking the user.

use std::io::{self, BufRead, Write};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::failure::Failure;

/// Asks for a yes; anything else is a no.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    let answer = ask(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a line.
pub(crate) fn ask(question: &str) -> Result<String, Failure> {
    let mut line = String::new();
    let mut out = io::stderr();
    out.write_all(question.as_bytes())
        .and_then(|()| out.flush())
        .and_then(|()| io::stdin().lock().read_line(&mut line))
        .map_err(|source| Failure::io("ask on the terminal", source))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks for a line that is not shown while it is typed.
pub(crate) fn ask_secret(question: &str) -> Result<String, Failure> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin);
    if let Ok(before) = &before {
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        let _ = tcsetattr(&stdin, OptionalActions::Now, &quiet);
    }
    let answer = ask(question);
    if let Ok(before) = &before {
        let _ = tcsetattr(&stdin, OptionalActions::Now, before);
        eprintln!();
    }
    answer
}
