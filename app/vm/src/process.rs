//! Processes that do not outlive their machine.
//!
//! Linux reports a parent's death to its children by the thread that made them (`PR_SET_PDEATHSIG`, `prctl(2)`). So a
//! machine has a thread that does nothing but start its processes: when that ends, by `Drop` or because the whole
//! program was killed, the kernel kills what it has started. Elsewhere only `Drop` does.

use std::collections::VecDeque;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use crate::Role;

/// How many last lines of a process's standard error are kept, and how much of a line.
const LINES: usize = 10;
const LINE: usize = 400;

type Order = (Command, oneshot::Sender<io::Result<Child>>);

/// The thread that starts a machine's processes.
pub(crate) struct Parent {
    orders: std::sync::mpsc::Sender<Order>,
}

impl Parent {
    pub(crate) fn new() -> io::Result<Parent> {
        let (orders, inbox) = std::sync::mpsc::channel::<Order>();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("machine".into())
            .spawn(move || {
                let _inside = runtime.enter();
                for (mut command, answer) in inbox {
                    death::with_parent(&mut command);
                    drop(answer.send(command.spawn()));
                }
            })?;
        Ok(Parent { orders })
    }

    /// Starts a process; its standard error is kept for its last words.
    pub(crate) async fn start(&self, role: Role, mut command: Command) -> io::Result<Member> {
        let gone = || io::Error::other("the machine is going");
        command.stderr(Stdio::piped()).kill_on_drop(true);
        let (answer, answered) = oneshot::channel();
        self.orders.send((command, answer)).map_err(|_| gone())?;
        let mut child = answered.await.map_err(|_| gone())??;
        let words = LastWords::default();
        if let Some(stderr) = child.stderr.take() {
            let words = words.clone();
            tokio::spawn(async move {
                let mut lines = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    words.hear(line);
                }
            });
        }
        Ok(Member { role, child, words })
    }
}

/// One process of a machine.
pub(crate) struct Member {
    pub(crate) role: Role,
    child: Child,
    words: LastWords,
}

impl Member {
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub(crate) fn pipes(&mut self) -> Option<(ChildStdout, ChildStdin)> {
        Some((self.child.stdout.take()?, self.child.stdin.take()?))
    }

    /// Waits for its end. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> String {
        let ended = self.child.wait().await;
        // Its last words may be on their way.
        tokio::task::yield_now().await;
        let how = ended.map_or_else(|error| error.to_string(), shown);
        match self.words.last() {
            words if words.is_empty() => how,
            words => format!("{how}: {}", words.join(" / ")),
        }
    }

    pub(crate) async fn kill(&mut self) {
        // One that has ended already was waited for now.
        drop(self.child.kill().await);
    }
}

fn shown(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("signal {signal}");
    }
    status
        .code()
        .map_or_else(|| status.to_string(), |code| format!("exit status {code}"))
}

#[derive(Clone, Default)]
struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl LastWords {
    fn hear(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(LINE).collect());
    }

    fn last(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }
}

#[cfg(target_os = "linux")]
mod death {
    //! The one place here that needs `unsafe`.

    use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
    use tokio::process::Command;

    #[expect(
        unsafe_code,
        reason = "what runs between fork and exec is promised, not checked"
    )]
    pub(super) fn with_parent(command: &mut Command) {
        let parent: Pid = getpid();
        let ask = move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // It may have died before the kernel was asked.
            if getppid() == Some(parent) {
                Ok(())
            } else {
                Err(rustix::io::Errno::SRCH.into())
            }
        };
        // SAFETY: the closure makes two system calls and allocates nothing, so it may run after a fork of a program
        // with threads (fork(2), signal-safety(7)).
        unsafe { command.pre_exec(ask) };
    }
}

#[cfg(not(target_os = "linux"))]
mod death {
    //! No system but Linux kills children with their parent.

    pub(super) fn with_parent(_command: &mut tokio::process::Command) {}
}
