//! What the host did to shared files, told to whoever watches them in the machine. Our module in the kernel does the telling;
//! it is loaded at the first event.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use proa_kernel::modules::{LoadError, Modules};
use proa_protocol::proa::FileEvent;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

const MODULE: &str = "proa_fsevents";
const DEVICE: &str = "/dev/proa-fsevents";
const MODULES: &str = "/proa/modules";

/// Why events are not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EventsError {
    #[error("read the modules of the image")]
    Modules(#[source] io::Error),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("open {DEVICE}")]
    Open(#[source] io::Error),
}

/// The way to the watchers.
pub(crate) struct Watchers(File);

impl Watchers {
    pub(crate) fn open() -> Result<Self, EventsError> {
        if !Path::new(DEVICE).exists() {
            let modules = Modules::open(Path::new(MODULES)).map_err(EventsError::Modules)?;
            modules.load(MODULE)?;
        }
        let device = File::options().write(true).open(DEVICE);
        Ok(Self(device.map_err(EventsError::Open)?))
    }

    /// Tells one event. A file that nobody here has ever looked at has no watchers, and may be gone again.
    pub(crate) fn tell(&mut self, event: &FileEvent) -> io::Result<()> {
        // Whoever hears of the event and looks is not to see what was known before it.
        let flags = AtFlags::STATX_FORCE_SYNC | AtFlags::SYMLINK_NOFOLLOW;
        let deleted = libc::IN_DELETE | libc::IN_MOVED_FROM;
        if event.mask & deleted == 0 {
            let _ = statx(CWD, &*event.path, flags, StatxFlags::BASIC_STATS);
        }
        let line = format!("{:x} {:x} {}", event.mask, event.cookie, event.path);
        self.0.write_all(line.as_bytes())
    }
}
