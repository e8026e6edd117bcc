//! The end of a cgroup: its processes killed, its directories gone.

use std::io::ErrorKind;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Cgroup, CgroupError, files};

/// How long processes may take to die of SIGKILL.
const DYING: Duration = Duration::from_secs(10);
/// How long the kernel may keep a cgroup busy after its last process is gone.
const LINGERING: Duration = Duration::from_millis(500);

impl Cgroup {
    /// Sends `signal` to every process in it and beneath it. Processes that are made meanwhile may be missed.
    pub fn signal(&self, signal: Signal) -> Result<(), CgroupError> {
        for pid in self.pids()? {
            // Gone already is as good.
            let _ = kill(Pid::from_raw(pid), signal);
        }
        Ok(())
    }

    /// Kills every process in it and beneath it, frozen ones too, and does not wait for their end.
    ///
    /// In one step by `cgroup.kill` (Linux 5.14) where a version 2 tree is mounted; else all are stopped first, so that
    /// none can fork away.
    pub fn kill(&self) -> Result<(), CgroupError> {
        if let Some(directory) = self.unified_directory() {
            let file = directory.join("cgroup.kill");
            match files::write_file(&file, "1") {
                Ok(()) => return self.kill_strays(),
                Err(error) if files::gone(&error) => (),
                Err(source) => return Err(CgroupError::write(&file, "1", source)),
            }
        }
        let frozen = self.freeze().is_ok();
        let killed = self.signal(Signal::SIGKILL);
        if frozen {
            self.thaw()?;
        }
        killed
    }

    /// On a hybrid host a nested engine may have moved processes in the version 2 tree but not on version 1.
    fn kill_strays(&self) -> Result<(), CgroupError> {
        let inside = self.v1_directories().iter().any(|directory| {
            files::tree(directory).iter().any(|directory| {
                files::read_pids(directory, "cgroup.procs").is_ok_and(|pids| !pids.is_empty())
            })
        });
        if inside {
            self.signal(Signal::SIGKILL)
        } else {
            Ok(())
        }
    }

    /// Kills every process in it and waits until none is left.
    pub fn kill_and_wait(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + DYING;
        let mut pause = Duration::from_micros(200);
        loop {
            self.kill()?;
            let left = self.pids()?.len();
            if left == 0 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let path = self.directories().into_iter().next().unwrap_or_default();
                return Err(CgroupError::Unkillable { path, left });
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Removes it and every cgroup beneath it. Gone already is success; processes in it are an error.
    pub fn delete(&self) -> Result<(), CgroupError> {
        let mut first = None;
        for directory in self.directories() {
            if let Err(error) = remove_tree(&directory) {
                first.get_or_insert(error);
            }
            self.hierarchy.forget_prepared(&directory);
        }
        first.map_or(Ok(()), Err)
    }
}

/// Nearly always the directory has no children and is not busy: one system call.
fn remove_tree(directory: &Path) -> Result<(), CgroupError> {
    let deadline = Instant::now() + LINGERING;
    let mut pause = Duration::from_micros(100);
    loop {
        let mut failed = None;
        if !removed(directory, &mut failed) {
            for beneath in files::tree(directory).iter().rev() {
                removed(beneath, &mut failed);
            }
        }
        let Some(source) = failed else { return Ok(()) };
        let has_processes =
            || files::read_pids(directory, "cgroup.procs").is_ok_and(|pids| !pids.is_empty());
        if source.kind() != ErrorKind::ResourceBusy || Instant::now() >= deadline || has_processes()
        {
            return Err(CgroupError::Delete {
                path: directory.into(),
                source,
            });
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Whether `directory` is gone now; a failure replaces the one noted before, so that the last one tried is told.
fn removed(directory: &Path, failed: &mut Option<std::io::Error>) -> bool {
    match std::fs::remove_dir(directory) {
        Ok(()) => *failed = None,
        Err(error) if files::gone(&error) => *failed = None,
        Err(error) => {
            *failed = Some(error);
            return false;
        }
    }
    true
}
