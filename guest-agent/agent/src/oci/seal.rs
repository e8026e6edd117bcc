//! Running from a program file that no container can write to.
//!
//! A process in a container could reach the host's program through `/proc/PID/exe` of ours, or by being told to execute
//! `/proc/self/exe`. So before anything of a container is touched, the program executes itself once more through a
//! read-only mount that is attached nowhere: nobody can open it for writing or remount it.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use proa_kernel::mount::{self, Change, attribute, propagation};
use proa_kernel::{memfd, process};
use rustix::fs::StatVfsMountFlags;

use super::error::OciError;

/// Returns if the program is sealed already; executes it again otherwise.
pub(super) fn once() -> Result<(), OciError> {
    const OWN: &str = "/proc/self/exe";
    let flags = rustix::fs::statvfs(OWN)
        .map_err(|errno| OciError::io("look at the own program")(errno.into()))?
        .f_flag;
    if flags.contains(StatVfsMountFlags::RDONLY) || is_memfd() {
        return Ok(());
    }
    let program = detached(OWN)
        .or_else(|_| memfd::own_program("proa-oci"))
        .map_err(OciError::io("seal the program"))?;
    let arguments =
        process::Strings::new(std::env::args_os().map(|word| word.as_bytes().to_owned()));
    let environment = process::Strings::new(
        std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()),
    );
    let (arguments, environment) = arguments
        .and_then(|arguments| Ok((arguments, environment?)))
        .map_err(OciError::io("seal the program"))?;
    Err(OciError::io("execute the sealed program")(
        process::execve_fd(&program, &arguments, &environment),
    ))
}

fn is_memfd() -> bool {
    std::fs::read_link("/proc/self/exe")
        .is_ok_and(|path| path.as_os_str().as_bytes().starts_with(b"/memfd:"))
}

fn detached(path: &str) -> std::io::Result<OwnedFd> {
    let tree = mount::clone_path(path, false)?;
    let change = Change {
        set: attribute::RDONLY,
        propagation: propagation::PRIVATE,
        ..Change::default()
    };
    mount::change(&tree, &change, false)?;
    Ok(tree)
}
