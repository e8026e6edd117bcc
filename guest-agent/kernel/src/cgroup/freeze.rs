//! Stopping every process of a cgroup, and letting them go on.

use std::os::fd::AsFd;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, Timespec};

use super::{Cgroup, CgroupError, Controller, files, stats};

/// How long processes may take to stop.
const STOPPING: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Stops every process in it and beneath it; when this returns, none runs.
    ///
    /// The version 2 freezer is used wherever that tree is mounted: processes stopped by it still die of SIGKILL.
    pub fn freeze(&self) -> Result<(), CgroupError> {
        if let Some(directory) = self.unified_directory() {
            files::write(&directory, "cgroup.freeze", "1")?;
            return self.wait_frozen(&directory);
        }
        self.freeze_v1()
    }

    /// Lets every process go on.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        if let Some(directory) = self.unified_directory() {
            return files::write(&directory, "cgroup.freeze", "0");
        }
        files::write(&self.freezer()?, "freezer.state", "THAWED")
    }

    /// Whether every process in it is stopped.
    pub fn frozen(&self) -> bool {
        if let Some(directory) = self.unified_directory() {
            return is_frozen_v2(&directory);
        }
        let state = self
            .freezer()
            .ok()
            .and_then(|directory| files::read_if_there(&directory, "freezer.state"));
        state.is_some_and(|state| state.trim() == "FROZEN")
    }

    fn freezer(&self) -> Result<std::path::PathBuf, CgroupError> {
        let missing = CgroupError::NoController {
            what: "pausing",
            controller: Controller::Freezer,
        };
        self.v1_directory(Controller::Freezer).ok_or(missing)
    }

    /// `cgroup.events` is notified of by POLLPRI.
    fn wait_frozen(&self, directory: &Path) -> Result<(), CgroupError> {
        let deadline = Instant::now() + STOPPING;
        let file = directory.join("cgroup.events");
        let failed = |error: rustix::io::Errno| CgroupError::read(&file, error.into());
        let events = rustix::fs::open(&file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(failed)?;
        let mut buffer = [0u8; 256];
        loop {
            let length = rustix::io::pread(&events, &mut buffer, 0).map_err(failed)?;
            if stats::field(&String::from_utf8_lossy(&buffer[..length]), "frozen") == Some(1) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.thaw()?;
                return Err(CgroupError::FreezeTimeout {
                    path: directory.into(),
                    seconds: STOPPING.as_secs(),
                });
            }
            let timeout = Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let mut watched = [PollFd::from_borrowed_fd(events.as_fd(), PollFlags::PRI)];
            match poll(&mut watched, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => (),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Version 1 stays in FREEZING while a process is being made; asking again, and now and then letting go, gets past it.
    fn freeze_v1(&self) -> Result<(), CgroupError> {
        let directory = self.freezer()?;
        let deadline = Instant::now() + STOPPING;
        for round in 0u32.. {
            files::write(&directory, "freezer.state", "FROZEN")?;
            if round % 25 == 24 {
                sleep(Duration::from_micros(10));
            }
            let state = files::read(&directory, "freezer.state")?;
            if state.trim() == "FROZEN" {
                return Ok(());
            }
            if Instant::now() >= deadline {
                break;
            }
            if round % 50 == 49 {
                files::write(&directory, "freezer.state", "THAWED")?;
                sleep(Duration::from_millis(10));
            } else if round > 2 {
                sleep(Duration::from_micros(200));
            }
        }
        files::write(&directory, "freezer.state", "THAWED")?;
        Err(CgroupError::FreezeTimeout {
            path: directory,
            seconds: STOPPING.as_secs(),
        })
    }
}

fn is_frozen_v2(directory: &Path) -> bool {
    let events = files::read_if_there(directory, "cgroup.events");
    events.is_some_and(|events| stats::field(&events, "frozen") == Some(1))
}
