//! Turning the machine off, when the keeper's work is done.

use std::fs;
use std::time::{Duration, Instant};

use proa_kernel::process;
use rustix::system::{RebootCommand, reboot};

use super::console;

/// How long what still runs may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends every process, unmounts what can be, and turns the machine off. Does not return.
pub(crate) fn off() -> ! {
    console::phase("stopping");
    end_all(libc::SIGTERM, PATIENCE);
    end_all(libc::SIGKILL, PATIENCE);
    rustix::fs::sync();
    unmount();
    console::phase("off");
    let failed = reboot(RebootCommand::PowerOff);
    console::say(&format!("turn the machine off: {failed:?}"));
    // The kernel panics when its first process ends, and by its settings that turns the machine off too.
    process::exit_now(1)
}

/// Signals every process and reaps them until there is none, or patience ends.
fn end_all(signal: i32, patience: Duration) {
    let deadline = Instant::now() + patience;
    // Nobody there is what is wanted.
    let _ = process::signal_pid(-1, signal);
    while Instant::now() < deadline {
        match process::reap_any() {
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            // There is no child any more.
            Err(_) => return,
        }
    }
}

/// Unmounts everything on the data disk, the last mounted first, and the disk itself.
fn unmount() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let ours: Vec<&str> = places
        .filter(|place| place.starts_with("/var/lib/proa"))
        .collect();
    for place in ours.into_iter().rev() {
        if let Err(error) = rustix::mount::unmount(place, rustix::mount::UnmountFlags::empty()) {
            console::say(&format!("unmount {place}: {error}"));
        }
    }
    rustix::fs::sync();
}
