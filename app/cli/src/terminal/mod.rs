//! The terminal and the standard streams of this side.

pub(crate) mod detach;
pub(crate) mod frames;
pub(crate) mod prompt;
pub(crate) mod pump;
pub(crate) mod raw;
pub(crate) mod resize;
pub(crate) mod signals;

use std::io::IsTerminal;

/// Whether standard input is a terminal.
pub(crate) fn stdin_is_one() -> bool {
    std::io::stdin().is_terminal()
}

/// Whether standard output is a terminal.
pub(crate) fn stdout_is_one() -> bool {
    std::io::stdout().is_terminal()
}
