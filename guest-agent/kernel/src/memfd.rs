//! Files that live in memory and can be sealed against change (`memfd_create(2)`).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};

/// A sealed file with these bytes: nobody who gets the descriptor can change or resize it.
pub fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(create(name, false)?);
    file.write_all(bytes)?;
    seal(&file)?;
    Ok(file.into())
}

/// An empty file that can be sealed; `executable` where the kernel makes that distinction (Linux 6.3).
pub fn create(name: &str, executable: bool) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let kind = if executable {
        MemfdFlags::EXEC
    } else {
        MemfdFlags::NOEXEC_SEAL
    };
    match rustix::fs::memfd_create(name, flags | kind) {
        // Kernels before the distinction refuse its flags.
        Err(rustix::io::Errno::INVAL) => Ok(rustix::fs::memfd_create(name, flags)?),
        other => Ok(other?),
    }
}

/// Forbids writing, growing, shrinking and further seals.
pub fn seal(file: impl AsFd) -> io::Result<()> {
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    Ok(rustix::fs::fcntl_add_seals(file, seals)?)
}

/// A sealed copy of the running program, to execute instead of the file: a container that reaches
/// `/proc/PID/exe` then reaches nothing of the host's.
pub fn own_program(name: &str) -> io::Result<OwnedFd> {
    let mut program = File::open("/proc/self/exe")?;
    let mut copy = File::from(create(name, true)?);
    io::copy(&mut program, &mut copy)?;
    seal(&copy)?;
    Ok(copy.into())
}
