//! Colours, on terminals only.

use std::io::IsTerminal;

/// An error's prefix.
pub(crate) fn error(text: &str) -> String {
    painted(text, "1;31", std::io::stderr().is_terminal())
}

/// A heading on standard output.
pub(crate) fn strong(text: &str) -> String {
    painted(text, "1", std::io::stdout().is_terminal())
}

fn painted(text: &str, code: &str, terminal: bool) -> String {
    let wanted = terminal && std::env::var_os("NO_COLOR").is_none();
    if wanted {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
