//! `--ipc shareable`: a `/dev/shm` that other containers can join lives outside of any of them.

use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};

use super::{Container, definition::Definition};
use crate::{Engine, Error, Result, error::Context};

fn place(engine: &Engine, definition: &Definition) -> PathBuf {
    engine.paths.run_container(&definition.id).join("shm")
}

/// Makes a container's own, before its start.
pub(super) fn make(engine: &Engine, definition: &Definition) -> Result<PathBuf> {
    let place = place(engine, definition);
    take_down(&place);
    let attempt = || format!("mount {}", place.display());
    std::fs::create_dir_all(&place).context(attempt)?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    let options = format!("mode=1777,size={}", definition.host.shm_size);
    let options = std::ffi::CString::new(options).context(attempt)?;
    rustix::mount::mount("shm", &place, "tmpfs", flags, options.as_c_str()).context(attempt)?;
    Ok(place)
}

/// Another container's, to be joined.
pub(super) fn of(engine: &Engine, other: &Container) -> Result<PathBuf> {
    let definition = other.seen().definition;
    if definition.host.ipc_mode != "shareable" {
        let id = other.id();
        return Err(Error::conflict(format!(
            "cannot join IPC of a running container: container {id}: non-shareable IPC (hint: use IpcMode:shareable for \
             the donor container)"
        )));
    }
    Ok(place(engine, &definition))
}

/// Takes it away when its container has ended.
pub(super) fn remove(engine: &Engine, definition: &Definition) {
    if definition.host.ipc_mode == "shareable" {
        take_down(&place(engine, definition));
    }
}

fn take_down(place: &Path) {
    if !place.exists() {
        return;
    }
    // Who joined it keeps it; nothing may be mounted there.
    let _ = rustix::mount::unmount(place, UnmountFlags::DETACH);
    let _ = std::fs::remove_dir(place);
}
