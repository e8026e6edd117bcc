//! Being told when the kernel kills for want of memory.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::sys::eventfd::{EfdFlags, EventFd};
use rustix::fs::{Mode, OFlags, inotify};

use super::{Cgroup, CgroupError, Controller, Version, files};

/// A descriptor that becomes readable when a cgroup may have run out of memory.
///
/// On version 1 it tells of hitting the limit, on version 2 of any change in `memory.events`: ask
/// [`Cgroup::oom_kills`] what happened. Gone with the value.
#[derive(Debug)]
pub struct OomWatch {
    descriptor: OwnedFd,
    /// The version 1 file the kernel wants kept open.
    _control: Option<OwnedFd>,
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl OomWatch {
    /// Takes what made the descriptor readable off it.
    pub fn drain(&self) -> io::Result<()> {
        let mut buffer = [0u8; 4096];
        match rustix::io::read(&self.descriptor, &mut buffer) {
            Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Cgroup {
    /// How many processes the kernel killed here for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let (directory, file) = match self.hierarchy.version() {
            Version::V2 => (self.unified_directory(), "memory.events"),
            Version::V1 | Version::Hybrid => {
                (self.v1_directory(Controller::Memory), "memory.oom_control")
            }
        };
        let text = directory.and_then(|directory| files::read_if_there(&directory, file));
        text.and_then(|text| super::stats::field(&text, "oom_kill"))
            .unwrap_or_default()
    }

    /// Whether the kernel killed anything here for want of memory.
    pub fn oom_killed(&self) -> bool {
        self.oom_kills() > 0
    }

    /// A descriptor to poll for running out of memory.
    pub fn watch_oom(&self) -> Result<OomWatch, CgroupError> {
        let missing = CgroupError::NoController {
            what: "memory",
            controller: Controller::Memory,
        };
        match self.hierarchy.version() {
            Version::V2 => watch_v2(&self.unified_directory().ok_or(missing)?),
            Version::V1 | Version::Hybrid => {
                watch_v1(&self.v1_directory(Controller::Memory).ok_or(missing)?)
            }
        }
    }
}

fn watch_v1(directory: &Path) -> Result<OomWatch, CgroupError> {
    let file = directory.join("memory.oom_control");
    let failed = |source| CgroupError::read(&file, source);
    let control = rustix::fs::open(&file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let control = control.map_err(|error| failed(error.into()))?;
    let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
    let event: OwnedFd = event.map_err(|error| failed(error.into()))?.into();
    let number = |fd: &OwnedFd| std::os::fd::AsRawFd::as_raw_fd(fd);
    files::write(
        directory,
        "cgroup.event_control",
        &format!("{} {}", number(&event), number(&control)),
    )?;
    Ok(OomWatch {
        descriptor: event,
        _control: Some(control),
    })
}

fn watch_v2(directory: &Path) -> Result<OomWatch, CgroupError> {
    let file = directory.join("memory.events");
    let failed = |error: rustix::io::Errno| CgroupError::read(&file, error.into());
    let descriptor = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
        .map_err(failed)?;
    inotify::add_watch(&descriptor, &file, inotify::WatchFlags::MODIFY).map_err(failed)?;
    Ok(OomWatch {
        descriptor,
        _control: None,
    })
}
