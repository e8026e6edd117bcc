//! Lines on the console, which the host keeps as the machine's log.

use std::io::Write;

/// Says a line.
pub(super) fn say(line: &str) {
    // There is nobody else to tell.
    let _ = writeln!(std::io::stderr(), "proa: {line}");
}

/// Says that a phase of the boot is over, and how long the machine has been up.
pub(super) fn phase(what: &str) {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    say(&format!(
        "{what} {}.{:02} s",
        now.tv_sec,
        now.tv_nsec / 10_000_000
    ));
}
