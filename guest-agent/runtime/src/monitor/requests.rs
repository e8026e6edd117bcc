//! Answers to what clients ask.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use proa_kernel::{process, terminal};

use super::message::{
    ExecLaunch, Hello, Message, Refusal, Reply, Request, RunningExec, Target, VERSION,
};
use super::start;
use super::watch::{Exec, Monitor, Process};
use crate::launch::{Size, Streams};
use crate::wire::{self, Packet};

type Answer = Result<(Reply, Option<OwnedFd>), Refusal>;

impl Monitor {
    /// Carries out a request and says what to answer.
    pub(super) fn answer(&mut self, packet: Packet<Request>) -> (Message, Option<OwnedFd>) {
        let answer = match packet.body {
            Some(request) => self.carry_out(request, packet.fds),
            None => Err(Refusal::Malformed),
        };
        match answer {
            Ok((reply, fd)) => (Message::Reply(Ok(reply)), fd),
            Err(refusal) => (Message::Reply(Err(refusal)), None),
        }
    }

    fn carry_out(&mut self, request: Request, fds: Vec<OwnedFd>) -> Answer {
        match request {
            Request::Hello { .. } => Ok((Reply::Hello(self.hello()), None)),
            Request::Attach { streams, stdin } => self.attach(streams, stdin, fds),
            Request::Exec => self.exec(fds),
            Request::Resize { target, size } => self.resize(&target, size),
            Request::CloseStdin => {
                self.init.stdin = None;
                done()
            }
            Request::Signal { target, signal } => {
                let sent = process::signal(&self.process(&target)?.pidfd, signal);
                sent.map_err(|error| system("send a signal", &error))?;
                done()
            }
        }
    }

    fn hello(&self) -> Hello {
        let execs = self.execs.iter();
        Hello {
            version: VERSION,
            started: self.started,
            exit: self.exit,
            execs: execs
                .map(|exec| RunningExec {
                    id: exec.id.to_string(),
                    pid: exec.process.pid as u32,
                })
                .collect(),
        }
    }

    fn attach(&mut self, streams: Streams, stdin: bool, fds: Vec<OwnedFd>) -> Answer {
        if self.exit.is_some() {
            return Err(Refusal::NotRunning);
        }
        let stdin = self.init.stdin.as_ref().filter(|_| stdin);
        let stdin = stdin.map(start::duplicate).transpose();
        let stdin = stdin.map_err(|error| system("share standard input", &error))?;
        match fds.into_iter().next() {
            Some(socket) => self.init.output.attach(socket, streams),
            None if streams.stdout || streams.stderr => return Err(Refusal::Malformed),
            None => {}
        }
        Ok((Reply::Attached, stdin))
    }

    fn exec(&mut self, fds: Vec<OwnedFd>) -> Answer {
        if self.exit.is_some() {
            return Err(Refusal::NotRunning);
        }
        let mut fds = fds.into_iter();
        let value = fds.next().ok_or(Refusal::Malformed)?;
        let launch: ExecLaunch = wire::read_value(&value).map_err(|_| Refusal::Malformed)?;
        if self.execs.iter().any(|exec| *exec.id == *launch.id) {
            return Err(Refusal::ExecRuns(launch.id));
        }
        let child = start::exec(
            &self.init.pidfd,
            &launch.plan,
            launch.stdin,
            &self.surroundings,
        );
        let (mut process, stdin) = Process::new(child.map_err(Refusal::Start)?);
        if let Some(socket) = fds.next() {
            process.output.attach(socket, launch.streams);
        }
        let pid = process.pid as u32;
        self.execs.push(Exec {
            id: launch.id.into(),
            process,
        });
        // The client's is the only descriptor: its end is the end of the exec's input.
        Ok((Reply::ExecStarted { pid }, stdin))
    }

    fn resize(&self, target: &Target, size: Size) -> Answer {
        let terminal = self
            .process(target)?
            .terminal
            .as_ref()
            .ok_or(Refusal::NoTerminal)?;
        terminal::resize(terminal.as_fd(), size.rows, size.columns)
            .map_err(|error| system("resize the terminal", &error))?;
        done()
    }

    fn process(&self, target: &Target) -> Result<&Process, Refusal> {
        match target {
            Target::Init if self.exit.is_some() => Err(Refusal::NotRunning),
            Target::Init => Ok(&self.init),
            Target::Exec(id) => {
                let exec = self.execs.iter().find(|exec| *exec.id == **id);
                exec.map(|exec| &exec.process)
                    .ok_or_else(|| Refusal::NoSuchExec(id.clone()))
            }
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what requests end in")]
fn done() -> Answer {
    Ok((Reply::Done, None))
}

fn system(what: &str, error: &io::Error) -> Refusal {
    Refusal::System {
        what: what.to_owned(),
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    }
}
