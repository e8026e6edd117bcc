//! Terminals: handed to whoever asked for them, or shown on the caller's own.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use proa_kernel::message;
use proa_kernel::process::{self, Ended};
use proa_kernel::signal::{self, Signals};
use rustix::event::{PollFd, PollFlags};
use rustix::termios::{OptionalActions, Termios};

use super::error::OciError;

/// Sends the master side to a console socket.
pub(super) fn send(socket: &Path, master: &OwnedFd) -> Result<(), OciError> {
    let sent = UnixStream::connect(socket)
        .and_then(|stream| message::send(&stream, b"/dev/ptmx", &[master.as_fd()]));
    sent.map_err(OciError::file("send the terminal to", socket))
}

/// The signals that are passed on to a process in the foreground; they must be blocked before it is made.
pub(super) fn forwarded() -> Signals {
    Signals::of(&[
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGWINCH,
    ])
}

/// Stays with a process until it ends: passes signals on, and the terminal's bytes if there is one.
pub(super) fn accompany(pidfd: &OwnedFd, master: Option<OwnedFd>) -> Result<Ended, OciError> {
    let signals = forwarded();
    let what = OciError::io("stay with the process");
    signals
        .block_only()
        .and_then(|()| signals.descriptor())
        .and_then(|descriptor| match master {
            Some(master) => with_terminal(pidfd, File::from(master), &descriptor),
            None => without_terminal(pidfd, &descriptor),
        })
        .map_err(what)
}

fn without_terminal(pidfd: &OwnedFd, signals: &OwnedFd) -> io::Result<Ended> {
    loop {
        let mut fds = [
            PollFd::new(pidfd, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        poll(&mut fds)?;
        let (ended, signalled) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if signalled && let Some(number) = signal::take(signals)? {
            let _ = process::signal(pidfd, number);
        }
        if ended {
            return process::wait(pidfd);
        }
    }
}

fn with_terminal(pidfd: &OwnedFd, mut master: File, signals: &OwnedFd) -> io::Result<Ended> {
    let raw = Raw::enter();
    follow_size(&master);
    let stdin = io::stdin();
    let mut reading = true;
    loop {
        let mut fds = vec![
            PollFd::new(&master, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        if reading {
            fds.push(PollFd::new(&stdin, PollFlags::IN));
        }
        poll(&mut fds)?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        // Its end is told by an error once the last process has closed the other side.
        if ready[0] && !copy(&mut master, &mut io::stdout())? {
            break;
        }
        if ready[1]
            && let Some(number) = signal::take(signals)?
        {
            match number {
                libc::SIGWINCH => follow_size(&master),
                other => {
                    let _ = process::signal(pidfd, other);
                }
            }
        }
        if ready.get(2) == Some(&true) {
            reading = copy(&mut stdin.lock(), &mut master)?;
        }
    }
    drop(raw);
    process::wait(pidfd)
}

fn poll(fds: &mut [PollFd<'_>]) -> io::Result<()> {
    match rustix::event::poll(fds, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Copies what is there; `false` at the end.
fn copy(from: &mut impl io::Read, to: &mut impl io::Write) -> io::Result<bool> {
    let mut buffer = [0; 16 * 1024];
    match from.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(length) => {
            to.write_all(&buffer[..length])?;
            to.flush()?;
            Ok(true)
        }
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
        Err(error) => Err(error),
    }
}

fn follow_size(master: &File) {
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stdin()) {
        let _ = rustix::termios::tcsetwinsize(master, size);
    }
}

/// The caller's terminal in raw mode, put back when dropped.
struct Raw(Option<Termios>);

impl Raw {
    fn enter() -> Self {
        let Ok(before) = rustix::termios::tcgetattr(io::stdin()) else {
            return Self(None);
        };
        let mut raw = before.clone();
        raw.make_raw();
        let _ = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw);
        Self(Some(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = rustix::termios::tcsetattr(io::stdin(), OptionalActions::Drain, before);
        }
    }
}

/// Descriptors of a cgroup's entrance, borrowed.
pub(super) fn tasks(entrance: &proa_kernel::cgroup::Entrance) -> Vec<BorrowedFd<'_>> {
    entrance.tasks().iter().map(AsFd::as_fd).collect()
}
