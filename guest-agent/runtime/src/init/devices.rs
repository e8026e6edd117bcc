//! What `/dev` holds: nodes, links, the console.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use proa_kernel::mount;
use proa_kernel::resolve::{self, Kind};
use proa_kernel::terminal::{self, Pair};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::protocol::During;
use crate::plan::{Device, TerminalPlan};
use crate::start_error::{StartError, Step};

/// Makes the nodes; `bound` has their host's counterparts where making nodes is not allowed. The caller's umask is 0.
pub(super) fn make(
    root: BorrowedFd<'_>,
    devices: &[Device],
    bound: &[OwnedFd],
) -> Result<(), StartError> {
    // Nearly all lie in one directory.
    let mut last: Option<(&Path, OwnedFd)> = None;
    for (index, device) in devices.iter().enumerate() {
        let parent = device.path.parent().unwrap_or(Path::new("/"));
        if last.as_ref().is_none_or(|(path, _)| *path != parent) {
            let directory =
                resolve::make_directories(root, parent).during_on(Step::Device, &device.path)?;
            last = Some((parent, directory));
        }
        let Some((_, directory)) = &last else {
            continue;
        };
        match bound.get(index) {
            Some(tree) => bind(root, device, tree),
            None => node(directory, device),
        }
        .during_on(Step::Device, &device.path)?;
    }
    Ok(())
}

fn node(directory: &OwnedFd, device: &Device) -> io::Result<()> {
    let Some(name) = device.path.file_name() else {
        return Err(Errno::INVAL.into());
    };
    let kind = FileType::from_raw_mode(device.kind);
    let mode = Mode::from_bits_retain(device.mode);
    match rustix::fs::mknodat(
        directory,
        name,
        kind,
        mode,
        rustix::fs::makedev(device.major, device.minor),
    ) {
        Err(Errno::EXIST) => return Ok(()),
        other => other?,
    }
    if (device.uid, device.gid) == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
    Ok(rustix::fs::chownat(
        directory,
        name,
        Some(uid),
        Some(gid),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

fn bind(root: BorrowedFd<'_>, device: &Device, tree: &OwnedFd) -> io::Result<()> {
    let target = resolve::locate_or_make(root, &device.path, Kind::File)?;
    mount::place(tree, target)
}

/// The links that programs expect (runtime-spec, `config-linux.md`, `/dev` symbolic links).
pub(super) fn link(root: BorrowedFd<'_>) -> Result<(), StartError> {
    const LINKS: [(&str, &str); 6] = [
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        ("/proc/kcore", "core"),
        ("pts/ptmx", "ptmx"),
    ];
    let dev = resolve::make_directories(root, Path::new("/dev")).during(Step::Device, "/dev")?;
    // A kernel built without it would leave a dead link.
    let has_kcore = rustix::fs::access(c"/proc/kcore", rustix::fs::Access::EXISTS).is_ok();
    for (target, name) in LINKS {
        if name == "core" && !has_kcore {
            continue;
        }
        match rustix::fs::symlinkat(target, &dev, name) {
            Err(Errno::EXIST) => {}
            other => other.during(Step::Device, name)?,
        }
    }
    Ok(())
}

/// A terminal of the container's own devpts, shown as its console too.
pub(super) fn open_console(root: BorrowedFd<'_>, plan: TerminalPlan) -> Result<Pair, StartError> {
    let pair = open_terminal(root, plan).during(Step::Terminal, "/dev/pts/ptmx")?;
    show_console(root, &pair).during(Step::Terminal, "/dev/console")?;
    Ok(pair)
}

/// A terminal of the devpts mounted beneath `root`.
pub(super) fn open_terminal(root: BorrowedFd<'_>, plan: TerminalPlan) -> io::Result<Pair> {
    let pts = resolve::open_in(
        root,
        c"/dev/pts",
        OFlags::PATH | OFlags::DIRECTORY,
        Mode::empty(),
    )?;
    let pair = terminal::open_in(&pts, c"ptmx")?;
    if let Some((rows, columns)) = plan.size {
        terminal::resize(&pair.slave, rows, columns)?;
    }
    Ok(pair)
}

fn show_console(root: BorrowedFd<'_>, pair: &Pair) -> io::Result<()> {
    let target = resolve::locate_or_make(root, Path::new("/dev/console"), Kind::File)?;
    mount::place(mount::clone_tree(pair.slave.as_fd(), c"", false)?, target)
}
