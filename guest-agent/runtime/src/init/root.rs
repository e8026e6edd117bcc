//! The container's root file system as a detached mount, made by the parent.
//!
//! The parent can name host paths, keeps its privileges when the child has a user namespace, and may hold the mount
//! until after the exit has been reported.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use proa_kernel::mount::{self, Change, Configuring, propagation};
use proa_kernel::namespace::Namespaces;
use proa_kernel::process::{self, CloneOptions, Cloned};
use proa_kernel::{message, resolve};
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
            let layers = match mapped {
                Some(namespace) => Layers::mapped(overlay, namespace),
                None => Ok(Layers::named(overlay)),
            };
            layers
                .and_then(|layers| overlay_mount(overlay, &layers))
                .during_on(Step::Root, &overlay.upper)
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

    /// Every layer as an idmapped mount (overlayfs takes those from Linux 5.19 on).
    fn mapped(overlay: &'a Overlay, namespace: BorrowedFd<'_>) -> io::Result<Self> {
        let lower = |path: &PathBuf| map_ids(path, namespace).map(Layer::Open);
        // Upper and work directory must lie on one mount.
        let parent = overlay
            .upper
            .parent()
            .filter(|parent| overlay.work.parent() == Some(parent));
        let parent = parent.ok_or_else(|| io::Error::from_raw_os_error(libc::EXDEV))?;
        let changes = map_ids(parent, namespace)?;
        let below = |path: &Path| {
            let name = path.file_name().unwrap_or(OsStr::new("."));
            resolve::open_plain(&changes, name, OFlags::PATH | OFlags::DIRECTORY).map(Layer::Open)
        };
        Ok(Self {
            lowers: overlay
                .lowers
                .iter()
                .map(lower)
                .collect::<io::Result<_>>()?,
            upper: below(&overlay.upper)?,
            work: below(&overlay.work)?,
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

fn overlay_mount(overlay: &Overlay, layers: &Layers<'_>) -> io::Result<OwnedFd> {
    match with_layer_list(overlay, layers) {
        // Kernels before 6.5 do not know `lowerdir+`.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            with_one_string(overlay, layers)
        }
        other => other,
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

/// All layers in one option of `mount(2)`, named by descriptor numbers relative to `/proc/self/fd` so that a few
/// hundred fit the page that options have. Such a mount cannot be detached from the start, so a short-lived child
/// makes it in a mount namespace of its own and passes on a copy.
fn with_one_string(overlay: &Overlay, layers: &Layers<'_>) -> io::Result<OwnedFd> {
    let (ours, theirs) = message::pair()?;
    match process::clone3(&CloneOptions {
        namespaces: Namespaces::MOUNT,
        ..CloneOptions::default()
    })? {
        Cloned::Child => {
            let code = match mount_by_numbers(overlay, layers) {
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

fn mount_by_numbers(overlay: &Overlay, layers: &Layers<'_>) -> io::Result<OwnedFd> {
    mount::set_propagation(c"/", propagation::PRIVATE, true)?;
    let mut opened = Vec::new();
    let mut number = |layer: &Layer<'_>| -> io::Result<String> {
        match layer {
            Layer::Open(fd) => Ok(fd.as_raw_fd().to_string()),
            Layer::Named(path) => {
                let fd = rustix::fs::open(*path, OFlags::PATH, Mode::empty())?;
                let name = fd.as_raw_fd().to_string();
                opened.push(fd);
                Ok(name)
            }
        }
    };
    let lowers: Vec<String> = layers
        .lowers
        .iter()
        .map(&mut number)
        .collect::<io::Result<_>>()?;
    let (upper, work) = (number(&layers.upper)?, number(&layers.work)?);
    let volatile = if overlay.volatile { ",volatile" } else { "" };
    let options = format!(
        "lowerdir={},upperdir={upper},workdir={work}{volatile}",
        lowers.join(":")
    );
    let options = std::ffi::CString::new(options)?;
    rustix::process::chdir("/proc/self/fd")?;
    // Any directory will do to mount on: nobody else sees this namespace.
    let target = "/sys";
    rustix::mount::mount(
        "overlay",
        target,
        "overlay",
        rustix::mount::MountFlags::empty(),
        Some(options.as_c_str()),
    )?;
    mount::clone_path(target, false)
}
