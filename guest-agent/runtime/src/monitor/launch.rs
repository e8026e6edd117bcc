//! From a launch to a monitor with a running process.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use proa_kernel::signal::Signals;

use super::connection::Connection;
use super::message::{Message, Started};
use super::oom::Oom;
use super::start::{self, Surroundings};
use super::watch::{Monitor, Process};
use crate::keeper::message::Use;
use crate::launch::{Launch, Streams, exit_file, short_monitor_socket};
use crate::log::clock;
use crate::log::record::Recorder;
use crate::start_error::{StartError, Step};

/// What came with a launch, by what it is for.
#[derive(Default)]
struct Brought {
    surroundings: Surroundings,
    attaches: Vec<(Streams, OwnedFd)>,
    oom: Oom,
}

impl Monitor {
    /// Starts the first process and tells the first connection; `None` when it did not start, which was told too.
    pub(super) fn launch(
        launch: Launch,
        connection: OwnedFd,
        others: Vec<(Use, OwnedFd)>,
    ) -> Option<Monitor> {
        let mut connection = Connection::new(connection);
        let run_dir = launch.run_dir.clone();
        match begin(launch, Brought::sort(others)) {
            Ok((mut monitor, stdin)) => {
                connection.send(0, &Message::Launched(Ok(monitor.started)), stdin);
                monitor.connections.push(connection);
                // Needed by nobody until `serve` is started again, so it is not made on the way to the start.
                match listen(&run_dir) {
                    Ok(listener) => monitor.listener = Some(listener),
                    Err(error) => {
                        eprintln!("proa: monitor: listen in {}: {error}", run_dir.display());
                    }
                }
                Some(monitor)
            }
            Err(error) => {
                connection.send(0, &Message::Launched(Err(error)), None);
                None
            }
        }
    }
}

impl Brought {
    fn sort(others: Vec<(Use, OwnedFd)>) -> Brought {
        let mut brought = Brought::default();
        let into = &mut brought.surroundings;
        for (purpose, fd) in others {
            match purpose {
                Use::Attach(streams) => brought.attaches.push((streams, fd)),
                Use::Cgroup => into.cgroup = Some(fd),
                Use::Cgroup1Tasks => into.cgroup1_tasks.push(fd),
                Use::Namespace(kind) => into.namespaces.push((kind, fd)),
                Use::OomWatch => brought.oom.watch = Some(fd),
                Use::OomCounter => brought.oom.counter = Some(fd),
            }
        }
        brought
    }
}

/// The monitor, and a client's descriptor for standard input.
fn begin(launch: Launch, brought: Brought) -> Result<(Monitor, Option<OwnedFd>), StartError> {
    let failed = |object: &Path, error: &io::Error| {
        StartError::new(Step::Monitor, object.display().to_string(), error)
    };
    let run_dir = launch.run_dir;
    let here = |error: io::Error| failed(&run_dir, &error);
    let signals = Signals::of(&[libc::SIGCHLD]).descriptor().map_err(here)?;
    remove(&exit_file(&run_dir)).map_err(here)?;
    let recorder = Recorder::open(launch.log)?;
    let Brought {
        mut surroundings,
        attaches,
        oom,
    } = brought;
    let child = start::first(&launch.plan, launch.stdin.is_open(), &surroundings)?;
    surroundings.settle();
    let (mut init, stdin) = Process::new(child);
    for (streams, socket) in attaches {
        init.output.attach(socket, streams);
    }
    let shared = stdin
        .as_ref()
        .map(start::duplicate)
        .transpose()
        .map_err(here)?;
    init.stdin = stdin;
    let monitor = rustix::process::getpid().as_raw_nonzero().get() as u32;
    let started = Started {
        pid: init.pid as u32,
        time: clock::now(),
        monitor,
    };
    let monitor = Monitor {
        run_dir,
        signals,
        listener: None,
        connections: Vec::new(),
        recorder,
        surroundings,
        oom,
        started,
        init,
        exit: None,
        ended: None,
        execs: Vec::new(),
        lingering: Vec::new(),
        unrecorded: None,
    };
    Ok((monitor, shared))
}

/// The control socket; one left by an earlier run is replaced.
fn listen(run_dir: &Path) -> io::Result<OwnedFd> {
    let (_dir, path) = match short_monitor_socket(run_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(run_dir)?;
            short_monitor_socket(run_dir)?
        }
        other => other?,
    };
    let listener = match proa_kernel::message::listen(&path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove(&path)?;
            proa_kernel::message::listen(&path)?
        }
        other => other?,
    };
    rustix::io::ioctl_fionbio(&listener, true)?;
    Ok(listener)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
