//! The keeper's loop: requests of `serve`, signals, deaths.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use proa_kernel::cgroup::{CgroupPath, Hierarchy};
use proa_kernel::process::{self, Ended};
use proa_kernel::signal::{self, Signals};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::message::{FromKeeper, ToKeeper};
use super::serve::{Ending, Serve};
use super::spare::{Forked, Spare};
use super::{Outcome, Seed};
use crate::wire;

/// Everything the keeper holds.
pub(super) struct Keeper {
    signals: OwnedFd,
    listeners: Vec<OwnedFd>,
    kept: Vec<(String, OwnedFd)>,
    monitors: Vec<Monitor>,
    /// The next monitor; none before the first launch, so that an idle engine has none.
    spare: Option<Spare>,
    /// A launch took the last spare, or would have.
    spare_wanted: bool,
    serve: Serve,
}

/// A child that watches a container.
struct Monitor {
    pid: i32,
    id: Box<str>,
    cgroup: Option<Box<str>>,
}

/// Signals that are read from a descriptor; ^C of a developer's terminal reaches the monitors too.
const SIGNALS: [i32; 5] = [
    libc::SIGCHLD,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
];

impl Keeper {
    pub(super) fn new(listeners: Vec<OwnedFd>, serve: Serve) -> io::Result<Keeper> {
        process::set_name("proa-keeper")?;
        process::set_dumpable(false)?;
        process::become_subreaper()?;
        let watched = Signals::of(&SIGNALS);
        watched.block_only()?;
        let signals = watched.descriptor()?;
        Ok(Keeper {
            signals,
            listeners,
            kept: Vec::new(),
            monitors: Vec::new(),
            spare: None,
            spare_wanted: false,
            serve,
        })
    }

    pub(super) fn attached(control: OwnedFd) -> io::Result<Keeper> {
        Keeper::new(Vec::new(), Serve::elsewhere(control))
    }

    pub(super) fn live(mut self) -> io::Result<Outcome> {
        loop {
            if self.serve.tick(&self.listeners)? {
                self.hand_over_kept();
            }
            if let Some(socket) = self.provide_spare() {
                return Ok(Outcome::Spare(socket));
            }
            let (signals, control) = self.wait()?;
            if signals && let Some(code) = self.take_signals()? {
                return Ok(Outcome::Stopped(code));
            }
            if control && let Some(outcome) = self.take_requests()? {
                return Ok(outcome);
            }
        }
    }

    /// Waits for signals and for requests; says which there are.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let timeout = self.serve.wake().map(|time| {
            let left = time.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        let signals = PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN);
        let is_ready = |polled: &PollFd<'_>| !polled.revents().is_empty();
        let count = if let Some(control) = self.serve.control() {
            let mut both = [signals, PollFd::from_borrowed_fd(control, PollFlags::IN)];
            rustix::event::poll(&mut both, timeout.as_ref())
                .map(|_| (is_ready(&both[0]), is_ready(&both[1])))
        } else {
            let mut one = [signals];
            rustix::event::poll(&mut one, timeout.as_ref()).map(|_| (is_ready(&one[0]), false))
        };
        match count {
            Err(rustix::io::Errno::INTR) => Ok((false, false)),
            other => Ok(other?),
        }
    }

    /// `Some` with the exit code when the keeper is to end.
    fn take_signals(&mut self) -> io::Result<Option<u8>> {
        while let Some(number) = signal::take(&self.signals)? {
            match number {
                libc::SIGCHLD => {
                    if let Some(code) = self.reap()? {
                        return Ok(Some(code));
                    }
                }
                libc::SIGHUP => {}
                _ => {
                    let told = self.tell(&FromKeeper::Stop, None);
                    if self.serve.stop(told) {
                        return Ok(Some(0));
                    }
                }
            }
        }
        Ok(None)
    }

    fn reap(&mut self) -> io::Result<Option<u8>> {
        loop {
            let (pid, how) = match process::reap_any() {
                Ok(Some(ended)) => ended,
                Ok(None) => return Ok(None),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
                Err(error) => return Err(error),
            };
            if self.spare.as_ref().is_some_and(|spare| spare.pid == pid) {
                self.spare = None;
            } else if let Some(index) = self.monitors.iter().position(|monitor| monitor.pid == pid)
            {
                let monitor = self.monitors.swap_remove(index);
                self.monitor_ended(monitor, how);
            } else if let Some(Ending::Final(code)) = self.serve.ended(pid, how) {
                return Ok(Some(code));
            }
        }
    }

    fn monitor_ended(&mut self, monitor: Monitor, how: Ended) {
        let recorded = how == Ended::Exited(0);
        if !recorded {
            eprintln!(
                "proa: keeper: the monitor of container {} ended ({how:?})",
                monitor.id
            );
            self.kill_what_is_left(&monitor);
        }
        self.monitors.shrink_to(self.monitors.len() * 2);
        let notice = FromKeeper::MonitorEnded {
            id: monitor.id.into(),
            monitor: monitor.pid as u32,
            recorded,
        };
        self.tell(&notice, None);
    }

    /// Kills a container whose monitor is gone: its cgroup, and what became the keeper's child by the monitor's death.
    fn kill_what_is_left(&self, monitor: &Monitor) {
        if let Some(path) = &monitor.cgroup
            && let Err(error) = kill_cgroup(path)
        {
            eprintln!("proa: keeper: kill cgroup {path}: {error}");
        }
        let Ok(children) = std::fs::read_to_string("/proc/thread-self/children") else {
            return;
        };
        for pid in children
            .split_ascii_whitespace()
            .filter_map(|pid| pid.parse().ok())
        {
            let ours = self.monitors.iter().any(|monitor| monitor.pid == pid)
                || self.spare.as_ref().is_some_and(|spare| spare.pid == pid)
                || self.serve.is(pid);
            if !ours && left_by(monitor.cgroup.as_deref(), pid) {
                let _ = process::signal_pid(pid, libc::SIGKILL);
            }
        }
    }

    /// `Some` when this process is now something else or has to end.
    fn take_requests(&mut self) -> io::Result<Option<Outcome>> {
        loop {
            let Some(control) = self.serve.control() else {
                return Ok(None);
            };
            let mut buffer = [0; wire::MAX_REQUEST];
            let packet = match wire::receive::<ToKeeper>(control, &mut buffer) {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(None),
                Err(_) => return Ok(self.serve.hung_up().then_some(Outcome::Stopped(0))),
            };
            let mut fds = packet.fds.into_iter();
            match packet.body {
                Some(ToKeeper::Launch { id, cgroup, uses }) => {
                    if let (Some(launch), Some(connection)) = (fds.next(), fds.next()) {
                        let others = uses.into_iter().zip(fds).collect();
                        let seed = Seed {
                            launch,
                            connection,
                            others,
                        };
                        if let Some(seed) = self.make_monitor(&id, cgroup, seed) {
                            return Ok(Some(Outcome::Monitor(seed)));
                        }
                    }
                }
                Some(ToKeeper::Keep { name }) => {
                    self.kept.retain(|(kept, _)| *kept != name);
                    self.kept.extend(fds.next().map(|fd| (name, fd)));
                }
                Some(ToKeeper::Release { name }) => self.kept.retain(|(kept, _)| *kept != name),
                Some(ToKeeper::Serving) => self.serve.serving(),
                Some(ToKeeper::End { id }) => self.end_monitor(&id),
                None => eprintln!("proa: keeper: the API server sent what is no request"),
            }
        }
    }

    /// Not reaped yet, so the number is still its own.
    fn end_monitor(&self, id: &str) {
        let monitors = self.monitors.iter();
        for monitor in monitors.filter(|monitor| *monitor.id == *id) {
            if let Err(error) = process::signal_pid(monitor.pid, libc::SIGKILL) {
                eprintln!("proa: keeper: ending the monitor of {id}: {error}");
            }
        }
    }

    /// In the child, gives the seed back. A failure shows at the other end of the seed's connection, which is closed.
    fn make_monitor(&mut self, id: &str, cgroup: Option<String>, seed: Seed) -> Option<Seed> {
        self.spare_wanted = true;
        let cgroup = cgroup.map(Into::into);
        let id = id.into();
        // One that died unnoticed so far is done without.
        if let Some(spare) = self.spare.take()
            && spare.plant(&seed).is_ok()
        {
            let pid = spare.pid;
            self.monitors.push(Monitor { pid, id, cgroup });
            return None;
        }
        match process::fork() {
            Ok(None) => Some(seed),
            Ok(Some(pid)) => {
                self.monitors.push(Monitor { pid, id, cgroup });
                None
            }
            Err(error) => {
                eprintln!("proa: keeper: make a monitor for container {id}: {error}");
                None
            }
        }
    }

    /// Forks the next monitor while nothing else is to do. In the child, gives its socket.
    fn provide_spare(&mut self) -> Option<OwnedFd> {
        if self.spare.is_some() || !std::mem::take(&mut self.spare_wanted) {
            return None;
        }
        match Spare::fork() {
            Ok(Forked::Spare(socket)) => return Some(socket),
            Ok(Forked::Keeper(spare)) => self.spare = Some(spare),
            // The next launch forks for itself, and tells if that fails too.
            Err(_) => {}
        }
        None
    }

    /// A new `serve` reads them as soon as it is up. Its queue is short, and nothing of this may be lost.
    fn hand_over_kept(&self) {
        for (name, fd) in &self.kept {
            self.tell_surely(&FromKeeper::Kept { name: name.clone() }, Some(fd));
        }
        self.tell_surely(&FromKeeper::Ready, None);
    }

    fn tell_surely(&self, what: &FromKeeper, fd: Option<&OwnedFd>) {
        if !self.tell(what, fd) && self.has_room() && !self.tell(what, fd) {
            eprintln!("proa: keeper: the API server does not take what was kept for it");
        }
    }

    /// Waits until `serve` can be told something; not if it is gone or stuck.
    fn has_room(&self) -> bool {
        let Some(control) = self.serve.control() else {
            return false;
        };
        let patience = Timespec {
            tv_sec: 5,
            tv_nsec: 0,
        };
        let mut polled = [PollFd::from_borrowed_fd(control, PollFlags::OUT)];
        let ready = rustix::event::poll(&mut polled, Some(&patience));
        ready.is_ok_and(|count| count > 0) && polled[0].revents() == PollFlags::OUT
    }

    /// Never waits: a `serve` whose queue is full notices by its connections to the monitors.
    fn tell(&self, what: &FromKeeper, fd: Option<&OwnedFd>) -> bool {
        let Some(control) = self.serve.control() else {
            return false;
        };
        let fds: Vec<BorrowedFd<'_>> = fd.into_iter().map(AsFd::as_fd).collect();
        wire::send(control, 0, what, &fds).is_ok()
    }
}

/// Whether a process is of the container at `path`, or was to become one. Children may be of other containers too: who
/// shares the host's processes has its daemons adopted here.
fn left_by(path: Option<&str>, pid: i32) -> bool {
    let groups = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/cgroup"));
    match (groups(&pid.to_string()), groups("self")) {
        (Ok(its), Ok(own)) => its == own || path.is_some_and(|path| is_below(&its, path)),
        // It is gone.
        (Err(_), _) | (Ok(_), Err(_)) => false,
    }
}

/// Whether a line of `/proc/<pid>/cgroup` names the cgroup `path`, which begins at a base of ours, or one below.
fn is_below(groups: &str, path: &str) -> bool {
    let path = format!("/{}/", path.trim_matches('/'));
    groups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .any(|group| format!("{group}/").contains(&path))
}

/// Finds its way about the cgroups only now, so that the keeper stays small.
fn kill_cgroup(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    Ok(Hierarchy::detect()?
        .open(&path.parse::<CgroupPath>()?)
        .kill()?)
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn a_process_is_told_by_its_cgroup() {
        let groups = "5:memory:/base/proa/abc\n0::/base";
        assert!(is_below(groups, "proa/abc"));
        assert!(is_below("0::/proa/abc/system.slice", "/proa/abc"));
        assert!(!is_below(groups, "proa/ab"));
        assert!(!is_below(groups, "proa/def"));
    }
}
