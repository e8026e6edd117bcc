//! Gives a process its stdio and starts it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;

use crate::init::{self, SpawnFds, Spawned};
use crate::plan::{ExecPlan, Plan, ProcessPlan};
use crate::start_error::{StartError, Step};

/// A process that runs, and the monitor's ends of its stdio.
pub(super) struct Child {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    /// Where to write its standard input; non-blocking.
    pub(super) stdin: Option<OwnedFd>,
    /// Standard output, or the terminal; non-blocking.
    pub(super) stdout: OwnedFd,
    /// Standard error, without a terminal; non-blocking.
    pub(super) stderr: Option<OwnedFd>,
    /// The terminal.
    pub(super) terminal: Option<OwnedFd>,
    /// Keeps the root file system from being taken apart.
    pub(super) root_mount: Option<OwnedFd>,
}

/// What every process of the container is born into.
#[derive(Default)]
pub(super) struct Surroundings {
    pub(super) cgroup: Option<OwnedFd>,
    pub(super) cgroup1_tasks: Vec<OwnedFd>,
    pub(super) namespaces: Vec<(u32, OwnedFd)>,
}

impl Surroundings {
    /// Drops what only the first process needs.
    pub(super) fn settle(&mut self) {
        self.namespaces = Vec::new();
        self.cgroup1_tasks.shrink_to_fit();
    }

    fn fds<'a>(&'a self, pipes: &'a Pipes) -> SpawnFds<'a> {
        let [stdin, stdout, stderr] = &pipes.theirs;
        SpawnFds {
            stdin: stdin.as_ref().map(AsFd::as_fd),
            stdout: stdout.as_ref().map(AsFd::as_fd),
            stderr: stderr.as_ref().map(AsFd::as_fd),
            cgroup: self.cgroup.as_ref().map(AsFd::as_fd),
            cgroup1_tasks: self.cgroup1_tasks.iter().map(AsFd::as_fd).collect(),
            namespaces: self
                .namespaces
                .iter()
                .map(|(kind, fd)| (*kind, fd.as_fd()))
                .collect(),
            ..SpawnFds::default()
        }
    }
}

/// The parent's and the child's end of each stream.
#[derive(Default)]
struct Pipes {
    ours: [Option<OwnedFd>; 3],
    theirs: [Option<OwnedFd>; 3],
}

/// Starts the container's first process.
pub(super) fn first(plan: &Plan, stdin: bool, into: &Surroundings) -> Result<Child, StartError> {
    let pipes = pipes(&plan.process, stdin)?;
    let spawned = init::spawn(plan, &into.fds(&pipes))?;
    connect(spawned, pipes, stdin)
}

/// Starts another process in the container whose first process is `init`.
pub(super) fn exec(
    init: &OwnedFd,
    plan: &ExecPlan,
    stdin: bool,
    into: &Surroundings,
) -> Result<Child, StartError> {
    let pipes = pipes(&plan.process, stdin)?;
    let spawned = init::spawn_exec(plan, init.as_fd(), &into.fds(&pipes))?;
    connect(spawned, pipes, stdin)
}

fn connect(spawned: Spawned, pipes: Pipes, stdin: bool) -> Result<Child, StartError> {
    let Spawned {
        pid,
        pidfd,
        console_master: terminal,
        root_mount,
    } = spawned;
    let failed = |error| StartError::new(Step::Stdio, "", &error);
    let [mut input, output, stderr] = pipes.ours;
    let stdout = match (&terminal, output) {
        (Some(terminal), _) => {
            rustix::io::ioctl_fionbio(terminal, true).map_err(|errno| failed(errno.into()))?;
            input = stdin
                .then(|| duplicate(terminal))
                .transpose()
                .map_err(failed)?;
            duplicate(terminal).map_err(failed)?
        }
        (None, Some(output)) => output,
        (None, None) => return Err(failed(io::ErrorKind::NotFound.into())),
    };
    Ok(Child {
        pid,
        pidfd,
        stdin: input,
        stdout,
        stderr,
        terminal,
        root_mount,
    })
}

/// Pipes, but for a terminal, which the child makes.
fn pipes(process: &ProcessPlan, stdin: bool) -> Result<Pipes, StartError> {
    if process.terminal.is_some() {
        return Ok(Pipes::default());
    }
    make_pipes(stdin).map_err(|error| StartError::new(Step::Stdio, "", &error))
}

fn make_pipes(stdin: bool) -> io::Result<Pipes> {
    let (stdin, read_end) = if stdin {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&write, true)?;
        (Some(write), read)
    } else {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        (None, rustix::fs::open("/dev/null", flags, Mode::empty())?)
    };
    let (stdout, out) = output_pipe()?;
    let (stderr, err) = output_pipe()?;
    Ok(Pipes {
        ours: [stdin, Some(stdout), Some(stderr)],
        theirs: [Some(read_end), Some(out), Some(err)],
    })
}

fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&read, true)?;
    Ok((read, write))
}

/// Another descriptor of the same open file.
pub(super) fn duplicate(fd: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd.as_fd(), 3)?)
}
