//! Pseudo-terminals.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

/// Both ends of a new terminal.
#[derive(Debug)]
pub struct Pair {
    /// The side that shows and types.
    pub master: OwnedFd,
    /// The side that programs run on.
    pub slave: OwnedFd,
    /// The slave's number: its name is this in the directory of its devpts.
    pub number: u32,
}

/// Makes a terminal in the devpts file system whose `ptmx` is at `path` beneath `dir`.
pub fn open_in(dir: impl AsFd, path: &std::ffi::CStr) -> io::Result<Pair> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let master = rustix::fs::openat(dir, path, flags, Mode::empty())?;
    // Whatever else bears the name is not asked for a terminal.
    if rustix::fs::fstat(&master)?.st_rdev != rustix::fs::makedev(5, 2) {
        return Err(io::Error::from_raw_os_error(libc::ENOTTY));
    }
    rustix::pty::unlockpt(&master)?;
    let peer = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, peer)?;
    let number = rustix::fs::fstat(&slave).map(|stat| rustix::fs::minor(stat.st_rdev))?;
    Ok(Pair {
        master,
        slave,
        number,
    })
}

/// Sets the size in characters.
pub fn resize(terminal: impl AsFd, rows: u16, columns: u16) -> io::Result<()> {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(rustix::termios::tcsetwinsize(terminal, size)?)
}

/// Starts a session and makes the terminal its controlling one.
pub fn control(slave: impl AsFd) -> io::Result<()> {
    Ok(rustix::process::ioctl_tiocsctty(slave)?)
}
