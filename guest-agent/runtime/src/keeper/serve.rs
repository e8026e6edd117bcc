//! The API server's process, as the keeper sees it: running, or to be started again at some time.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use proa_kernel::message;
use proa_kernel::process::{self, Ended};
use proa_kernel::signal::Signals;

use super::inherit::execute;

/// A `serve` that lived this long is started again at once.
const LONG_ENOUGH: Duration = Duration::from_secs(10);
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// How long an orderly stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The API server's process.
pub(super) struct Serve {
    arguments: Vec<OsString>,
    state: State,
    delay: Duration,
    /// Whether any `serve` has ever said that it serves.
    served: bool,
}

enum State {
    /// Starts when the time has come.
    Due(Instant),
    Running(Running),
    /// Never was and never will be: the client is another program.
    Elsewhere(OwnedFd),
}

struct Running {
    pid: i32,
    since: Instant,
    control: Option<OwnedFd>,
    /// Killed at this time, while it is stopping.
    deadline: Option<Instant>,
}

/// What the end of `serve` means.
pub(super) enum Ending {
    /// It is started again later.
    Again,
    /// The keeper ends too, with this code.
    Final(u8),
}

impl Serve {
    pub(super) fn new(arguments: Vec<OsString>) -> Serve {
        Serve {
            arguments,
            state: State::Due(Instant::now()),
            delay: FIRST_DELAY,
            served: false,
        }
    }

    pub(super) fn elsewhere(control: OwnedFd) -> Serve {
        Serve {
            state: State::Elsewhere(control),
            ..Serve::new(Vec::new())
        }
    }

    /// The control socket, while there is somebody at its other end.
    pub(super) fn control(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Due(_) => None,
            State::Running(running) => running.control.as_ref().map(AsFd::as_fd),
            State::Elsewhere(control) => Some(control.as_fd()),
        }
    }

    /// When [`Serve::tick`] has something to do.
    pub(super) fn wake(&self) -> Option<Instant> {
        match &self.state {
            State::Due(time) => Some(*time),
            State::Running(running) => running.deadline,
            State::Elsewhere(_) => None,
        }
    }

    /// Starts it if it is due, kills it if it takes too long to stop. `true` when it was started.
    pub(super) fn tick(&mut self, listeners: &[OwnedFd]) -> io::Result<bool> {
        let now = Instant::now();
        match &self.state {
            State::Due(time) if *time <= now => {
                self.start(listeners)?;
                Ok(true)
            }
            State::Running(running) if running.deadline.is_some_and(|deadline| deadline <= now) => {
                process::signal_pid(running.pid, libc::SIGKILL)?;
                Ok(false)
            }
            State::Due(_) | State::Running(_) | State::Elsewhere(_) => Ok(false),
        }
    }

    fn start(&mut self, listeners: &[OwnedFd]) -> io::Result<()> {
        let (ours, theirs) = message::pair()?;
        let Some(pid) = process::fork()? else {
            drop(ours);
            let error = become_serve(&theirs, listeners, &self.arguments);
            eprintln!("proa: keeper: start the API server: {error}");
            process::exit_now(1);
        };
        let since = Instant::now();
        self.state = State::Running(Running {
            pid,
            since,
            control: Some(ours),
            deadline: None,
        });
        Ok(())
    }

    /// Whether this is its process id.
    pub(super) fn is(&self, pid: i32) -> bool {
        matches!(&self.state, State::Running(running) if running.pid == pid)
    }

    /// Notes that it accepts connections.
    pub(super) fn serving(&mut self) {
        self.served = true;
    }

    /// Closes the control socket: nobody is at its other end. `true` if that is all there was.
    pub(super) fn hung_up(&mut self) -> bool {
        match &mut self.state {
            State::Running(running) => running.control = None,
            State::Elsewhere(_) => return true,
            State::Due(_) => {}
        }
        false
    }

    /// What the end of the child `pid` means, if it is this one.
    pub(super) fn ended(&mut self, pid: i32, how: Ended) -> Option<Ending> {
        let State::Running(running) = &self.state else {
            return None;
        };
        if running.pid != pid {
            return None;
        }
        if running.deadline.is_some() {
            return Some(Ending::Final(0));
        }
        // The first process of a machine has nowhere to go.
        if !self.served && std::process::id() != 1 {
            return Some(Ending::Final(how.code().clamp(1, 255) as u8));
        }
        eprintln!("proa: keeper: the API server ended ({how:?}) and is started again");
        if running.since.elapsed() >= LONG_ENOUGH {
            self.delay = FIRST_DELAY;
        }
        self.state = State::Due(Instant::now() + self.delay);
        self.delay = (self.delay * 2).min(LONGEST_DELAY);
        Some(Ending::Again)
    }

    /// Gives it time to stop. `true` if there is nothing to wait for.
    pub(super) fn stop(&mut self, told: bool) -> bool {
        match &mut self.state {
            State::Running(running) => {
                if !told {
                    let _ = process::signal_pid(running.pid, libc::SIGTERM);
                }
                running.deadline.get_or_insert(Instant::now() + STOP_LIMIT);
                false
            }
            State::Due(_) | State::Elsewhere(_) => true,
        }
    }
}

/// In the child: the program again, as the API server, with nothing blocked and the listeners open.
fn become_serve(control: &OwnedFd, listeners: &[OwnedFd], arguments: &[OsString]) -> io::Error {
    let ready = Signals::none()
        .block_only()
        .and_then(|()| process::set_parent_death_signal(libc::SIGKILL));
    if let Err(error) = ready {
        return error;
    }
    execute(
        "serve",
        std::iter::once(control).chain(listeners),
        arguments,
    )
}
