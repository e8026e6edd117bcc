//! Fills a new file system with what the image has at its place (`tmpcopyup`).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timestamps, Uid};

/// Copies everything below `from` to below `to`: kinds, contents, owners, modes and times.
pub(super) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let stat = rustix::fs::fstat(from)?;
    let from = rustix::fs::openat(
        from,
        c".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let to = rustix::fs::openat(
        to,
        c".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    directory(&from, &to)?;
    own(&to, &stat)
}

fn directory(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            one(from, to, name)?;
        }
    }
    Ok(())
}

fn one(from: &OwnedFd, to: &OwnedFd, name: &std::ffi::CStr) -> io::Result<()> {
    let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let open = OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, Mode::from_bits_retain(0o700))?;
            let below = rustix::fs::openat(from, name, open | OFlags::DIRECTORY, Mode::empty())?;
            let made = rustix::fs::openat(to, name, open | OFlags::DIRECTORY, Mode::empty())?;
            directory(&below, &made)?;
            own(&made, &stat)
        }
        FileType::RegularFile => {
            let mut source = File::from(rustix::fs::openat(from, name, open, Mode::empty())?);
            let flags = open | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let mut target = File::from(rustix::fs::openat(
                to,
                name,
                flags,
                Mode::from_bits_retain(0o600),
            )?);
            io::copy(&mut source, &mut target)?;
            own(&target, &stat)
        }
        FileType::Symlink => {
            let link = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(&link, to, name)?;
            own_name(to, name, &stat)
        }
        kind => {
            rustix::fs::mknodat(
                to,
                name,
                kind,
                Mode::from_raw_mode(stat.st_mode),
                stat.st_rdev,
            )?;
            own_name(to, name, &stat)
        }
    }
}

fn own(file: impl AsFd, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(&file, Some(uid), Some(gid))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(stat.st_mode))?;
    Ok(rustix::fs::futimens(&file, &times(stat))?)
}

fn own_name(dir: &OwnedFd, name: &std::ffi::CStr, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    Ok(rustix::fs::chownat(
        dir,
        name,
        Some(uid),
        Some(gid),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the types differ between architectures"
)]
fn times(stat: &Stat) -> Timestamps {
    let time = |seconds: i64, nanoseconds: u64| rustix::fs::Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds as i64,
    };
    Timestamps {
        last_access: time(stat.st_atime as i64, stat.st_atime_nsec as u64),
        last_modification: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
    }
}
