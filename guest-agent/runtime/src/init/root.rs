//! The container's root file system as a detached mount, made by the parent.
//!
//! The parent can name host paths, keeps its privileges when the child has a user namespace, and may hold the mount
//! until after the exit has been reported.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use proa_kernel::message;
use proa_kernel::mount::{self, Change, Configuring, propagation};
use proa_kernel::namespace::Namespaces;
use proa_kernel::process::{self, CloneOptions, Cloned};
use rustix::fs::{Mode, OFlags};

use super::protocol::During;
use crate::plan::{Overlay, Root};
use crate::start_error::{StartError, Step};

/// Longest string that the mount API takes.
const LONGEST: usize = 255;

/// The root's mount. With `mapped`, the ids of an overlay's layers are shown through that user namespace.
pub(super) fn mount(
    root: &Root,
    shared: bool,
    mapped: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd, StartError> {
    match root {
        Root::Plain(path) => plain(path, shared).during_on(Step::Root, path),
        Root::Overlay(overlay) => {
            overlay_mount(overlay, mapped).during_on(Step::Root, &overlay.upper)
        }
    }
}

/// A directory of the host with what is mounted below it, cut loose from the host so that no mount made in it is seen
/// there.
fn plain(path: &Path, shared: bool) -> io::Result<OwnedFd> {
    let root = mount::clone_path(path, true)?;
    let propagation = if shared {
        propagation::PRIVATE
    } else {
        propagation::SLAVE
    };
    mount::change(
        &root,
        &Change {
            propagation,
            ..Change::default()
        },
        true,
    )?;
    Ok(root)
}

/// The directories of an overlay, by name or by descriptor.
struct Layers<'a> {
    lowers: Vec<Layer<'a>>,
    upper: Layer<'a>,
    work: Layer<'a>,
}

enum Layer<'a> {
    Named(&'a Path),
    Open(OwnedFd),
}

impl Layer<'_> {
    /// Something to name it by in at most 255 bytes; what is opened for that is kept in `opened`.
    fn name(&self, opened: &mut Vec<OwnedFd>) -> io::Result<PathBuf> {
        match self {
            Self::Named(path) if path.as_os_str().len() <= LONGEST => Ok(path.to_path_buf()),
            Self::Named(path) => {
                let fd = rustix::fs::open(*path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
                let name = fd_path(fd.as_fd());
                opened.push(fd);
                Ok(name)
            }
            Self::Open(fd) => Ok(fd_path(fd.as_fd())),
        }
    }
}

fn fd_path(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

impl<'a> Layers<'a> {
    fn named(overlay: &'a Overlay) -> Self {
        Self {
            lowers: overlay
                .lowers
                .iter()
                .map(|path| Layer::Named(path))
                .collect(),
            upper: Layer::Named(&overlay.upper),
            work: Layer::Named(&overlay.work),
        }
    }

    /// Every lower layer as an idmapped mount (overlayfs takes those from Linux 5.19 on). What is written lies in the
    /// upper directory with the ids of the user namespace: overlayfs itself works as the host's root, which an
    /// idmapped upper directory would not know.
    fn mapped(overlay: &'a Overlay, namespace: BorrowedFd<'_>) -> io::Result<Self> {
        let lower = |path: &PathBuf| map_ids(path, namespace).map(Layer::Open);
        Ok(Self {
            lowers: overlay
                .lowers
                .iter()
                .map(lower)
                .collect::<io::Result<_>>()?,
            ..Self::named(overlay)
        })
    }
}

/// A detached mount of `path` whose ids are shown through a user namespace.
fn map_ids(path: &Path, namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let tree = mount::clone_path(path, false)?;
    mount::change(
        &tree,
        &Change {
            user_namespace: Some(namespace),
            ..Change::default()
        },
        false,
    )?;
    Ok(tree)
}

fn overlay_mount(overlay: &Overlay, mapped: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    if overlay.volatile {
        forget_volatile(&overlay.work);
    }
    let layers = match mapped {
        Some(namespace) => Layers::mapped(overlay, namespace)?,
        None => Layers::named(overlay),
    };
    match with_layer_list(overlay, &layers) {
        // Kernels before 6.5 do not know `lowerdir+`, those before 6.15 take no layer that is mounted nowhere.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => in_scratch(overlay, mapped),
        other => other,
    }
}

/// Takes away the mark of an earlier volatile mount, which overlayfs refuses because the machine may have crashed in
/// between. Here it is the same container started again; what a crash left is thrown away before it is ever mounted.
fn forget_volatile(work: &Path) {
    let mark = work.join("work/incompat/volatile");
    if rustix::fs::unlink(mark.join("dirty")).is_ok() {
        let _ = rustix::fs::rmdir(mark);
    }
}

/// One `lowerdir+` per layer, so that there may be any number of them.
fn with_layer_list(overlay: &Overlay, layers: &Layers<'_>) -> io::Result<OwnedFd> {
    let config = Configuring::new("overlay")?;
    config.set("source", "overlay")?;
    let mut opened = Vec::new();
    for lower in &layers.lowers {
        add(&config, "lowerdir+", lower, &mut opened)?;
    }
    add(&config, "upperdir", &layers.upper, &mut opened)?;
    add(&config, "workdir", &layers.work, &mut opened)?;
    if overlay.volatile {
        config.set_flag("volatile")?;
    }
    config.mount(0)
}

fn add(
    config: &Configuring,
    key: &str,
    layer: &Layer<'_>,
    opened: &mut Vec<OwnedFd>,
) -> io::Result<()> {
    // Layers by descriptor are taken from Linux 6.13 on, and a detached mount cannot be named before 6.15.
    if let Layer::Open(fd) = layer
        && config.set_fd(key, fd).is_ok()
    {
        return Ok(());
    }
    let name = layer.name(opened)?;
    config.set(key, name.as_path())
}

/// The way of older kernels: `mount(2)` in a mount namespace of its own, made by a short-lived child that passes on a
/// detached copy.
fn in_scratch(overlay: &Overlay, mapped: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    let (ours, theirs) = message::pair()?;
    match process::clone3(&CloneOptions {
        namespaces: Namespaces::MOUNT,
        ..CloneOptions::default()
    })? {
        Cloned::Child => {
            let made = match mapped {
                Some(namespace) => mount_by_places(overlay, namespace),
                None => mount_by_numbers(overlay),
            };
            let code = match made {
                Ok(root) => message::send(&theirs, &[0], &[root.as_fd()]).map_or(libc::EIO, |()| 0),
                Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
            };
            process::exit_now(code)
        }
        Cloned::Parent { pidfd, .. } => {
            drop(theirs);
            let received = message::receive(&ours, &mut [0; 8])?;
            let ended = process::wait(&pidfd)?;
            received
                .fds
                .into_iter()
                .next()
                .ok_or_else(|| io::Error::from_raw_os_error(ended.code()))
        }
    }
}

/// Where the child mounts: any directory will do, nobody else sees its namespace.
const SCRATCH: &str = "/sys";

/// Layers are named by descriptor numbers relative to `/proc/self/fd`, so that a few hundred fit the page that the
/// options of `mount(2)` have.
fn mount_by_numbers(overlay: &Overlay) -> io::Result<OwnedFd> {
    mount::set_propagation(c"/", propagation::PRIVATE, true)?;
    let mut opened = Vec::new();
    let mut number = |path: &PathBuf| -> io::Result<String> {
        let fd = rustix::fs::open(path, OFlags::PATH, Mode::empty())?;
        let name = fd.as_raw_fd().to_string();
        opened.push(fd);
        Ok(name)
    };
    let lowers: Vec<String> = overlay
        .lowers
        .iter()
        .map(&mut number)
        .collect::<io::Result<_>>()?;
    let (upper, work) = (number(&overlay.upper)?, number(&overlay.work)?);
    rustix::process::chdir("/proc/self/fd")?;
    mount_string(SCRATCH, &lowers, &upper, &work, overlay.volatile)
}

/// Idmapped layers are placed in a tmpfs first.
fn mount_by_places(overlay: &Overlay, namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    mount::set_propagation(c"/", propagation::PRIVATE, true)?;
    mount::place_at(Configuring::new("tmpfs")?.mount(0)?, SCRATCH)?;
    rustix::process::chdir(SCRATCH)?;
    let place = |name: &str, path: &Path| -> io::Result<()> {
        rustix::fs::mkdir(name, Mode::from_bits_retain(0o755))?;
        mount::place_at(map_ids(path, namespace)?, name)
    };
    let mut lowers = Vec::new();
    for (number, lower) in overlay.lowers.iter().enumerate() {
        lowers.push(number.to_string());
        place(&lowers[number], lower)?;
    }
    rustix::fs::mkdir("m", Mode::from_bits_retain(0o755))?;
    mount_string(
        "m",
        &lowers,
        &overlay.upper.to_string_lossy(),
        &overlay.work.to_string_lossy(),
        overlay.volatile,
    )
}

fn mount_string(
    target: &str,
    lowers: &[String],
    upper: &str,
    work: &str,
    volatile: bool,
) -> io::Result<OwnedFd> {
    let volatile = if volatile { ",volatile" } else { "" };
    let options = format!(
        "lowerdir={},upperdir={upper},workdir={work}{volatile}",
        lowers.join(":")
    );
    let options = std::ffi::CString::new(options)?;
    rustix::mount::mount(
        "overlay",
        target,
        "overlay",
        rustix::mount::MountFlags::empty(),
        Some(options.as_c_str()),
    )?;
    mount::clone_path(target, false)
}

/// The way of older kernels, for tests on a newer one.
#[cfg(test)]
pub(super) fn by_one_string(
    overlay: &Overlay,
    mapped: Option<BorrowedFd<'_>>,
) -> io::Result<OwnedFd> {
    in_scratch(overlay, mapped)
}
