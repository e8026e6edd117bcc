//! A keeper, its client, and containers without isolation: what a test starts from.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use proa_kernel::{inherit, message};
use proa_runtime::client::{
    Event, ExecLaunch, Exit, Keeper, Launch, LaunchFds, Message, Monitor, Refusal, Reply, Request,
    StartError, Started, Stdin, Streams,
};
use proa_runtime::keeper;
use proa_runtime::log::LogSink;
use proa_runtime::plan::{ProcessPlan, TerminalPlan};
use tempfile::TempDir;

use crate::plan;

/// First argument of the program as a keeper.
pub(crate) const KEEPER: &str = "be-keeper";

/// Longer than anything takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The program as a keeper for its parent.
pub(crate) fn be_keeper() -> u8 {
    let number = std::env::args().nth(2).unwrap().parse().unwrap();
    keeper::run_for(inherit::take(number).unwrap())
}

/// A keeper and the folder its containers live in. Dropping it ends the keeper and kills what it left.
pub(crate) struct Ground {
    pub(crate) keeper: Keeper,
    pub(crate) process: Child,
    pub(crate) dir: TempDir,
}

impl Ground {
    pub(crate) fn new() -> Ground {
        let (ours, theirs) = message::pair().unwrap();
        let number = inherit::leave_open(&theirs).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let process = command.args([KEEPER, &number.to_string()]).spawn().unwrap();
        drop(theirs);
        Ground {
            keeper: Keeper::new(ours).unwrap(),
            process,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn run_dir(&self, id: &str) -> PathBuf {
        self.dir.path().join(id)
    }

    pub(crate) fn log(&self, id: &str) -> PathBuf {
        self.dir.path().join(format!("{id}-json.log"))
    }

    /// A launch of a shell script.
    pub(crate) fn script(&self, id: &str, script: &str) -> Launch {
        self.launch(id, &["/bin/sh", "-c", script])
    }

    pub(crate) fn launch(&self, id: &str, args: &[&str]) -> Launch {
        launch_in(self.dir.path(), id, args)
    }

    /// Starts it with one client attached to everything.
    pub(crate) fn start(&self, launch: &Launch) -> Running {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let theirs = OwnedFd::from(theirs);
        let mut running = self
            .start_with(launch, &[(Streams::BOTH, &theirs)])
            .unwrap();
        running.output = Some(ours);
        running
    }

    pub(crate) fn start_with(
        &self,
        launch: &Launch,
        attaches: &[(Streams, &OwnedFd)],
    ) -> Result<Running, Option<StartError>> {
        let attaches: Vec<_> = attaches
            .iter()
            .map(|(streams, fd)| (*streams, fd.as_fd()))
            .collect();
        let with = LaunchFds {
            attaches: &attaches,
            ..LaunchFds::default()
        };
        let monitor = self.keeper.launch(launch, &with).unwrap();
        let (started, stdin) = monitor.wait_launched(PATIENCE)?;
        Ok(Running {
            monitor,
            started,
            stdin,
            output: None,
            events: Vec::new(),
        })
    }

    pub(crate) fn log_text(&self, id: &str) -> String {
        std::fs::read_to_string(self.log(id)).unwrap_or_default()
    }

    /// What was logged, both streams, line after line.
    pub(crate) fn logged(&self, id: &str) -> String {
        let lines = self.log_text(id);
        let field = |line: &str| {
            let document: serde_json::Value = serde_json::from_str(line).unwrap();
            document["log"].as_str().unwrap_or_default().to_owned()
        };
        lines.lines().map(field).collect()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // A container dies with its monitor as long as the keeper is there.
        let pid = self.process.id();
        let children = format!("/proc/{pid}/task/{pid}/children");
        let deadline = Instant::now() + PATIENCE;
        while let Ok(children) = std::fs::read_to_string(&children)
            && !children.is_empty()
            && Instant::now() < deadline
        {
            for child in children
                .split_ascii_whitespace()
                .filter_map(|pid| pid.parse().ok())
            {
                let _ = proa_kernel::process::signal_pid(child, 9);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn launch_in(dir: &Path, id: &str, args: &[&str]) -> Launch {
    Launch {
        id: id.into(),
        run_dir: dir.join(id),
        plan: plan::of(args),
        stdin: Stdin::Null,
        log: LogSink::json_file(dir.join(format!("{id}-json.log"))),
        cgroup: None,
    }
}

/// A container that was started.
pub(crate) struct Running {
    pub(crate) monitor: Monitor,
    pub(crate) started: Started,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) output: Option<UnixStream>,
    pub(crate) events: Vec<Message>,
}

impl Running {
    /// Waits for its end.
    pub(crate) fn exit(&mut self) -> Exit {
        self.until(|event| match event {
            Event::Exited(exit) => Some(*exit),
            _ => None,
        })
    }

    /// Waits for an exec's end.
    pub(crate) fn exec_exit(&mut self, wanted: &str) -> Exit {
        self.until(|event| match event {
            Event::ExecExited { id, exit } if id == wanted => Some(*exit),
            _ => None,
        })
    }

    fn until<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> T {
        let seen = self.events.iter().find_map(|message| match message {
            Message::Event(event) => pick(event),
            _ => None,
        });
        if let Some(found) = seen {
            return found;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let received = self.monitor.wait(deadline).expect("an event");
            if let Message::Event(event) = &received.message
                && let Some(found) = pick(event)
            {
                return found;
            }
            self.events.push(received.message);
        }
    }

    pub(crate) fn ask(&mut self, request: &Request) -> (Result<Reply, Refusal>, Option<OwnedFd>) {
        let sequence = self.monitor.send(request, &[]).unwrap();
        self.monitor.wait_reply(sequence, &mut self.events).unwrap()
    }

    /// Starts an exec; gives its output's stream and its standard input.
    pub(crate) fn exec(
        &mut self,
        launch: &ExecLaunch,
    ) -> Result<(UnixStream, Option<OwnedFd>), Refusal> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let sequence = self
            .monitor
            .send_exec(launch, Some(theirs.as_fd()))
            .unwrap();
        drop(theirs);
        let (reply, stdin) = self.monitor.wait_reply(sequence, &mut self.events).unwrap();
        reply.map(|_| (ours, stdin))
    }

    /// Everything the attached client gets until the end: standard output and standard error.
    pub(crate) fn read_all(&mut self) -> (Vec<u8>, Vec<u8>) {
        read_frames(&mut self.output.take().unwrap())
    }
}

/// An exec of a shell script.
pub(crate) fn exec(id: &str, script: &str) -> ExecLaunch {
    ExecLaunch {
        id: id.into(),
        plan: plan::exec(&["/bin/sh", "-c", script]),
        stdin: false,
        streams: Streams::BOTH,
    }
}

pub(crate) fn process(args: &[&str]) -> ProcessPlan {
    ProcessPlan {
        args: args.iter().map(|&arg| arg.into()).collect(),
        env: vec!["PATH=/usr/bin:/bin".into()],
        cwd: "/".into(),
        ..ProcessPlan::default()
    }
}

pub(crate) fn with_terminal(mut process: ProcessPlan) -> ProcessPlan {
    process.terminal = Some(TerminalPlan {
        size: Some((24, 80)),
    });
    process
}

/// Takes Docker's stream format apart until the end.
pub(crate) fn read_frames(from: &mut impl Read) -> (Vec<u8>, Vec<u8>) {
    let mut streams = (Vec::new(), Vec::new());
    let mut header = [0; 8];
    while read_header(from, &mut header) {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let stream = match header[0] {
            1 => &mut streams.0,
            2 => &mut streams.1,
            other => panic!("a frame of stream {other}"),
        };
        let before = stream.len();
        stream.resize(before + length, 0);
        from.read_exact(&mut stream[before..])
            .expect("a whole frame");
    }
    streams
}

fn read_header(from: &mut impl Read, header: &mut [u8; 8]) -> bool {
    let mut filled = 0;
    while filled < 8 {
        match from.read(&mut header[filled..]) {
            Ok(0) if filled == 0 => return false,
            Ok(0) => panic!("the stream ends within a frame's header"),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => panic!("read a frame: {error}"),
        }
    }
    true
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One field of `/proc/PID/status`; `None` when the process is gone.
pub(crate) fn status(pid: u32, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    Some(line.split(':').nth(1)?.trim().to_owned())
}

/// Makes a descriptor blocking again, to write to it simply.
pub(crate) fn blocking(fd: OwnedFd) -> std::fs::File {
    rustix::io::ioctl_fionbio(&fd, false).unwrap();
    assert!(fd.as_raw_fd() > 2);
    fd.into()
}
