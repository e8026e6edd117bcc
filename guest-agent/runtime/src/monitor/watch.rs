//! The monitor's loop.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use proa_kernel::process::{self, Ended};
use proa_kernel::signal;
use rustix::event::{PollFd, PollFlags, Timespec};

use super::connection::Connection;
use super::message::{Event, Message, Started};
use super::oom::Oom;
use super::output::{Output, Part};
use super::record;
use super::start::{Child, Surroundings};
use crate::launch::{Exit, monitor_socket};
use crate::log::clock;
use crate::log::record::Recorder;

/// How long after the end a log server may take to accept what is left.
const LOG_PATIENCE: Duration = Duration::from_secs(10);

/// The nice value of whom nobody waits for, setpriority(2).
const LAST: i32 = 19;

/// Everything a monitor holds.
pub(super) struct Monitor {
    pub(super) run_dir: PathBuf,
    pub(super) signals: OwnedFd,
    pub(super) listener: Option<OwnedFd>,
    pub(super) connections: Vec<Connection>,
    pub(super) recorder: Recorder,
    pub(super) oom: Oom,
    pub(super) surroundings: Surroundings,
    pub(super) started: Started,
    pub(super) init: Process,
    pub(super) exit: Option<Exit>,
    /// When `exit` came to be.
    pub(super) ended: Option<Instant>,
    pub(super) execs: Vec<Exec>,
    /// Output of execs that ended, until their clients have it.
    pub(super) lingering: Vec<Output>,
    /// A record that could not be written: told by the exit code.
    pub(super) unrecorded: Option<io::Error>,
}

/// A process that the monitor reaps.
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) stdin: Option<OwnedFd>,
    pub(super) terminal: Option<OwnedFd>,
    root_mount: Option<OwnedFd>,
    pub(super) output: Output,
}

/// A process beside the first one.
pub(super) struct Exec {
    pub(super) id: Box<str>,
    pub(super) process: Process,
}

/// What a polled descriptor stands for.
#[derive(Clone, Copy)]
enum Token {
    Signals,
    Log,
    Oom,
    Listener,
    Connection(usize),
    Init(Part),
    Exec(usize, Part),
    Lingering(usize, Part),
}

impl Process {
    /// Takes over a child's stdio; its standard input is returned separately, for a client to have.
    pub(super) fn new(child: Child) -> (Process, Option<OwnedFd>) {
        let output = Output::new(child.stdout, child.stderr, child.terminal.is_some());
        let process = Process {
            pid: child.pid,
            pidfd: child.pidfd,
            stdin: None,
            terminal: child.terminal,
            root_mount: child.root_mount,
            output,
        };
        (process, child.stdin)
    }
}

impl Monitor {
    pub(super) fn live(mut self) -> io::Result<()> {
        while !self.is_done() {
            for (token, flags) in self.wait()? {
                self.ready(token, flags)?;
            }
            self.tidy();
        }
        self.unrecorded.map_or(Ok(()), Err)
    }

    fn is_done(&self) -> bool {
        self.ended.is_some_and(|ended| {
            self.execs.is_empty()
                && self.lingering.is_empty()
                && self.init.output.is_done()
                && self.connections.iter().all(Connection::is_idle)
                && (self.recorder.is_done() || ended.elapsed() >= LOG_PATIENCE)
        })
    }

    /// How long to wait at most.
    fn timeout(&self) -> Option<Timespec> {
        let last_call = self.ended.filter(|_| !self.recorder.is_done());
        let wakes = [
            self.recorder.wake(),
            last_call.map(|ended| ended + LOG_PATIENCE),
        ];
        let left = wakes
            .into_iter()
            .flatten()
            .min()?
            .saturating_duration_since(Instant::now());
        Some(Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        })
    }

    /// Waits, and says what is ready.
    fn wait(&self) -> io::Result<Vec<(Token, PollFlags)>> {
        let mut tokens = Vec::with_capacity(8);
        let mut polled = Vec::with_capacity(8);
        let mut watch = |token, fd, flags| {
            tokens.push(token);
            polled.push(PollFd::from_borrowed_fd(fd, flags));
        };
        if let Some((log, flags)) = self.recorder.watch() {
            watch(Token::Log, log, flags);
        }
        if let Some(oom) = self.oom.watch() {
            watch(Token::Oom, oom, PollFlags::IN);
        }
        if let Some(listener) = &self.listener {
            watch(Token::Listener, listener.as_fd(), PollFlags::IN);
        }
        for (index, connection) in self.connections.iter().enumerate() {
            watch(
                Token::Connection(index),
                connection.socket(),
                connection.interest(),
            );
        }
        let full = self.recorder.is_full();
        for (part, fd, flags) in self.init.output.interests(full) {
            watch(Token::Init(part), fd, flags);
        }
        for (index, exec) in self.execs.iter().enumerate() {
            for (part, fd, flags) in exec.process.output.interests(false) {
                watch(Token::Exec(index, part), fd, flags);
            }
        }
        for (index, output) in self.lingering.iter().enumerate() {
            for (part, fd, flags) in output.interests(false) {
                watch(Token::Lingering(index, part), fd, flags);
            }
        }
        // Last, because the ends it tells of remove processes and clients that the indices above count.
        watch(Token::Signals, self.signals.as_fd(), PollFlags::IN);
        match rustix::event::poll(&mut polled, self.timeout().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let ready = tokens.into_iter().zip(polled.iter().map(PollFd::revents));
        Ok(ready.filter(|(_, flags)| !flags.is_empty()).collect())
    }

    fn ready(&mut self, token: Token, flags: PollFlags) -> io::Result<()> {
        match token {
            Token::Signals => {
                while signal::take(&self.signals)?.is_some() {}
                self.reap()
            }
            Token::Log => {
                self.recorder.advance();
                Ok(())
            }
            Token::Oom => {
                if self.oom.has_struck() {
                    self.tell(&Event::Oom);
                }
                Ok(())
            }
            Token::Listener => {
                self.accept();
                Ok(())
            }
            Token::Connection(index) => {
                self.serve(index, flags);
                Ok(())
            }
            Token::Init(part) => {
                self.init.output.ready(part, flags, &mut self.recorder);
                Ok(())
            }
            Token::Exec(index, part) => {
                if let Some(exec) = self.execs.get_mut(index) {
                    exec.process
                        .output
                        .ready(part, flags, &mut Recorder::none());
                }
                Ok(())
            }
            Token::Lingering(index, part) => {
                self.lingering[index].ready(part, flags, &mut Recorder::none());
                Ok(())
            }
        }
    }

    /// Forgets what is gone, now that no index is in use.
    fn tidy(&mut self) {
        if self
            .recorder
            .wake()
            .is_some_and(|time| time <= Instant::now())
        {
            self.recorder.advance();
        }
        self.connections
            .retain(|connection| !connection.is_closed());
        self.init.output.tidy();
        for exec in &mut self.execs {
            exec.process.output.tidy();
        }
        self.lingering.iter_mut().for_each(Output::tidy);
        self.lingering.retain(|output| !output.is_done());
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        // A client that gave up, or too many descriptors: the next one may fare better.
        if let Ok(socket) = proa_kernel::message::accept(listener) {
            self.connections.push(Connection::new(socket));
        }
    }

    fn serve(&mut self, index: usize, flags: PollFlags) {
        if flags.contains(PollFlags::OUT) {
            self.connections[index].flush();
        }
        while let Some(packet) = self.connections[index].receive() {
            let sequence = packet.sequence;
            let (message, fd) = self.answer(packet);
            self.connections[index].send(sequence, &message, fd);
        }
    }

    fn reap(&mut self) -> io::Result<()> {
        loop {
            match process::reap_any() {
                Ok(Some((pid, how))) if pid == self.init.pid => self.init_ended(how),
                Ok(Some((pid, how))) => self.exec_ended(pid, how),
                Ok(None) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn init_ended(&mut self, how: Ended) {
        self.init.stdin = None;
        self.init.output.drain(&mut self.recorder);
        let exit = record::exit(how, clock::now(), self.oom.ever());
        self.unrecorded = record::write_exit(&self.run_dir, &exit).err();
        self.exit = Some(exit);
        self.ended = Some(Instant::now());
        // A client that comes from now on finds the record.
        self.listener = None;
        let _ = fs::remove_file(monitor_socket(&self.run_dir));
        self.tell(&Event::Exited(exit));
        // From here on the unmount, which may write out a whole file system, delays nobody.
        let _ = rustix::process::setpriority_process(None, LAST);
        self.init.root_mount = None;
        self.init.output.close_served();
    }

    fn exec_ended(&mut self, pid: i32, how: Ended) {
        let Some(index) = self.execs.iter().position(|exec| exec.process.pid == pid) else {
            return;
        };
        let mut exec = self.execs.remove(index);
        exec.process.output.drain(&mut Recorder::none());
        let exit = record::exit(how, clock::now(), false);
        if let Err(error) = record::write_exec_exit(&self.run_dir, &exec.id, &exit) {
            eprintln!("proa: monitor: record the end of exec {}: {error}", exec.id);
        }
        self.tell(&Event::ExecExited {
            id: exec.id.into(),
            exit,
        });
        self.lingering.push(exec.process.output);
    }

    fn tell(&mut self, event: &Event) {
        for connection in &mut self.connections {
            connection.send(0, &Message::Event(event.clone()), None);
        }
    }
}
