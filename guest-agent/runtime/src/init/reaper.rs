//! PID 1 for containers that want one: forks the command, passes signals on, reaps whatever is left to it.

use proa_kernel::process::{self, Ended};
use proa_kernel::signal::Signals;

use super::protocol::During;
use crate::start_error::{StartError, Step};

/// Becomes the reaper and forks: returns in the child, which is to execute the command. The reaper itself lives until
/// the command ends and then exits as it did.
pub(super) fn split() -> Result<(), StartError> {
    let all = Signals::all();
    all.block_only().during(Step::Clone, "reaper")?;
    match process::fork().during(Step::Clone, "reaper")? {
        None => {
            lead_terminal();
            Ok(())
        }
        Some(command) => reap_until_end(command, &all),
    }
}

/// The command gets a process group of its own, in the foreground if there is a terminal, so that keys reach it and not
/// the reaper twice.
fn lead_terminal() {
    let _ = rustix::process::setpgid(None, None);
    let _ = rustix::termios::tcsetpgrp(std::io::stdin(), rustix::process::getpid());
}

fn reap_until_end(command: i32, all: &Signals) -> ! {
    // Everything else would keep the parent's channel and the host's files open.
    let _ = process::close_range(3, u32::MAX);
    let _ = process::set_name("proa-init");
    loop {
        match all.wait() {
            Ok(libc::SIGCHLD) => {
                if let Some(ended) = reap(command) {
                    process::exit_now(ended.code());
                }
            }
            // Asked by the terminal, not by somebody who wants the command stopped.
            Ok(libc::SIGTTIN | libc::SIGTTOU | libc::SIGTSTP) | Err(_) => {}
            Ok(signal) => {
                let _ = process::signal_pid(command, signal);
            }
        }
    }
}

/// Reaps all that has ended; how the command ended if it is among them.
fn reap(command: i32) -> Option<Ended> {
    let mut main = None;
    while let Ok(Some((pid, ended))) = process::reap_any() {
        if pid == command {
            main = Some(ended);
        }
    }
    main
}
