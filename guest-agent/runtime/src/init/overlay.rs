//! Stacks of layers as detached mounts: a container's root, or an image to look into.
//!
//! What the kernel can do decides the way. `lowerdir+` takes any number of layers by any name (Linux 6.5); before it,
//! one string of short relative names is given to `mount(2)`. Ids are shifted by idmapped layers (Linux 5.19) where
//! the layers' file system has those: a tmpfs only from 6.3 on, others never. There the layers are copied once.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use proa_kernel::mount::{self, Change, Configuring, attribute, propagation};
use proa_kernel::namespace::{self, Namespaces};
use proa_kernel::remove::remove_tree;
use proa_kernel::{resolve, tree, user};
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountFlags;

use crate::plan::{IdMaps, Layers, Overlay};

/// Longest string that the mount API takes.
const LONGEST: usize = 255;

/// How ids of layers are shown: by a user namespace that has these maps.
#[derive(Clone, Copy)]
pub(super) struct Mapping<'a> {
    pub(super) namespace: BorrowedFd<'a>,
    pub(super) maps: &'a IdMaps,
}

/// An overlay to write to. What is written lies in the upper directory with the ids of the user namespace: overlayfs
/// itself works as the host's root, which an idmapped upper directory would not know.
pub(super) fn writable(overlay: &Overlay, mapping: Option<Mapping<'_>>) -> io::Result<OwnedFd> {
    if overlay.volatile {
        forget_volatile(&overlay.work);
    }
    let Some(mapping) = mapping else {
        return Stack::new(&overlay.lowers, Some(overlay)).mount(None);
    };
    match Stack::new(&overlay.lowers, Some(overlay)).mount(Some(mapping.namespace)) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let copies = copy_layers(overlay, mapping.maps)?;
            Stack::new(&copies, Some(overlay)).mount(None)
        }
        other => other,
    }
}

/// The layers of an image, top first, as one detached tree that cannot be written to.
pub fn show_layers(lowers: &[PathBuf]) -> io::Result<OwnedFd> {
    readonly(lowers, None)
}

/// The layers of an image, or a folder of theirs, as a mount of its own.
pub fn show(layers: &Layers) -> io::Result<OwnedFd> {
    let shown = readonly(&layers.lowers, None)?;
    match &layers.beneath {
        Some(inner) => beneath(&shown, inner),
        None => Ok(shown),
    }
}

/// A container's root to be written to, mounted nowhere. `maps`: those of its user namespace.
pub fn writable_root(overlay: &Overlay, maps: Option<&IdMaps>) -> io::Result<OwnedFd> {
    let Some(maps) = maps else {
        return writable(overlay, None);
    };
    let (uids, gids) = maps.ranges();
    let namespace = user::namespace(&uids, &gids)?;
    let mapping = Mapping {
        namespace: namespace.as_fd(),
        maps,
    };
    writable(overlay, Some(mapping))
}

/// Layers to look into. Where their ids cannot be mapped they are shown as they are: files of nobody's.
pub(super) fn readonly(lowers: &[PathBuf], mapping: Option<Mapping<'_>>) -> io::Result<OwnedFd> {
    let shown = |namespace| match lowers {
        // An overlay that cannot be written to wants two.
        [only] => layer(only, namespace),
        _ => Stack::new(lowers, None).mount(namespace),
    };
    let shown = match (shown(mapping.map(|mapping| mapping.namespace)), mapping) {
        (Err(error), Some(_)) if error.raw_os_error() == Some(libc::EINVAL) => shown(None)?,
        (other, _) => other?,
    };
    let change = Change {
        set: attribute::RDONLY,
        ..Change::default()
    };
    mount::change(&shown, &change, false)?;
    Ok(shown)
}

/// A folder of what [`readonly`] has shown, as a mount of its own. Links are followed inside of it.
pub(super) fn beneath(shown: &OwnedFd, inner: &Path) -> io::Result<OwnedFd> {
    // Only what is mounted somewhere can be copied, for most kernels.
    apart(|| {
        mount::place_at(shown, SCRATCH)?;
        mount::clone_tree(resolve::locate(shown, inner)?, c"", false)
    })
}

/// Takes away the mark of an earlier volatile mount, which overlayfs refuses because the machine may have crashed in
/// between. Here it is the same container started again; what a crash left is thrown away before it is ever mounted.
fn forget_volatile(work: &Path) {
    let mark = work.join("work/incompat/volatile");
    if rustix::fs::unlink(mark.join("dirty")).is_ok() {
        let _ = rustix::fs::rmdir(mark);
    }
}

/// A detached mount of `path`, its ids shown through a user namespace.
fn layer(path: &Path, namespace: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    let tree = mount::clone_path(path, false)?;
    if namespace.is_some() {
        let change = Change {
            user_namespace: namespace,
            ..Change::default()
        };
        mount::change(&tree, &change, false)?;
    }
    Ok(tree)
}

/// Copies of the layers that belong to the ids outside, beside the directory for changes, made by the first start.
fn copy_layers(overlay: &Overlay, maps: &IdMaps) -> io::Result<Vec<PathBuf>> {
    let folder = overlay.work.with_file_name("mapped");
    let mut copies = Vec::new();
    for (number, lower) in overlay.lowers.iter().enumerate() {
        let copy = folder.join(number.to_string());
        if !copy.exists() {
            let part = folder.join("part");
            remove_tree(&part)?;
            std::fs::create_dir_all(&part)?;
            let owners = |uid, gid| maps.outside(uid, gid);
            tree::copy_tree(File::open(lower)?, File::open(&part)?, &owners)?;
            std::fs::rename(&part, &copy)?;
        }
        copies.push(copy);
    }
    Ok(copies)
}

/// Directories to be mounted over one another.
struct Stack<'a> {
    lowers: &'a [PathBuf],
    changes: Option<&'a Overlay>,
}

impl<'a> Stack<'a> {
    fn new(lowers: &'a [PathBuf], changes: Option<&'a Overlay>) -> Self {
        Self { lowers, changes }
    }

    fn mount(&self, mapped: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
        match self.by_list(mapped) {
            // Kernels before 6.5 do not know `lowerdir+`, those before 6.15 take no layer that is mounted nowhere.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => self.by_string(mapped),
            other => other,
        }
    }

    /// One `lowerdir+` per layer, so that there may be any number of them.
    fn by_list(&self, mapped: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
        let config = Configuring::new("overlay")?;
        config.set("source", "overlay")?;
        let mut opened = Vec::new();
        for lower in self.lowers {
            match mapped {
                Some(_) => {
                    let tree = layer(lower, mapped)?;
                    // Layers by descriptor are taken from Linux 6.13 on, and a detached mount cannot be named before
                    // 6.15.
                    if config.set_fd("lowerdir+", &tree).is_err() {
                        config.set("lowerdir+", fd_path(tree.as_fd()))?;
                    }
                    opened.push(tree);
                }
                None => add(&config, "lowerdir+", lower, &mut opened)?,
            }
        }
        if let Some(changes) = self.changes {
            add(&config, "upperdir", &changes.upper, &mut opened)?;
            add(&config, "workdir", &changes.work, &mut opened)?;
            if changes.volatile {
                config.set_flag("volatile")?;
            }
        }
        config.mount(0)
    }

    /// The way of older kernels, which leaves a detached copy behind.
    fn by_string(&self, mapped: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
        apart(|| match mapped {
            Some(namespace) => self.by_places(namespace),
            None => self.by_numbers(),
        })
    }

    /// Layers are named by descriptor numbers relative to `/proc/self/fd`, so that a few hundred fit the page that the
    /// options of `mount(2)` have.
    fn by_numbers(&self) -> io::Result<OwnedFd> {
        let mut opened = Vec::new();
        let mut number = |path: &PathBuf| -> io::Result<String> {
            let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            let name = fd.as_raw_fd().to_string();
            opened.push(fd);
            Ok(name)
        };
        let lowers = self.lowers.iter().map(&mut number);
        let lowers: Vec<String> = lowers.collect::<io::Result<_>>()?;
        let mut options = format!("lowerdir={}", lowers.join(":"));
        if let Some(changes) = self.changes {
            let (upper, work) = (number(&changes.upper)?, number(&changes.work)?);
            options += &format!(",upperdir={upper},workdir={work}");
        }
        rustix::process::chdir("/proc/self/fd")?;
        self.mount_string(SCRATCH, options)
    }

    /// Idmapped layers are placed in a tmpfs first.
    fn by_places(&self, namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        mount::place_at(Configuring::new("tmpfs")?.mount(0)?, SCRATCH)?;
        rustix::process::chdir(SCRATCH)?;
        let mut names = Vec::new();
        for (number, lower) in self.lowers.iter().enumerate() {
            let name = number.to_string();
            rustix::fs::mkdir(&name, Mode::from_bits_retain(0o755))?;
            mount::place_at(layer(lower, Some(namespace))?, &name)?;
            names.push(name);
        }
        rustix::fs::mkdir("m", Mode::from_bits_retain(0o755))?;
        let mut options = format!("lowerdir={}", names.join(":"));
        let mut opened = Vec::new();
        if let Some(changes) = self.changes {
            for (key, path) in [("upperdir", &changes.upper), ("workdir", &changes.work)] {
                let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
                options += &format!(",{key}={}", fd_path(fd.as_fd()).display());
                opened.push(fd);
            }
        }
        self.mount_string("m", options)
    }

    fn mount_string(&self, target: &str, mut options: String) -> io::Result<OwnedFd> {
        if self.changes.is_some_and(|changes| changes.volatile) {
            options += ",volatile";
        }
        let options = CString::new(options)?;
        let (kind, flags) = ("overlay", MountFlags::empty());
        rustix::mount::mount(kind, target, kind, flags, Some(options.as_c_str()))?;
        mount::clone_path(target, false)
    }
}

/// Does something in a mount namespace of its own, which a short-lived thread makes.
fn apart(mounting: impl FnOnce() -> io::Result<OwnedFd> + Send) -> io::Result<OwnedFd> {
    std::thread::scope(|scope| {
        let mounting = || {
            namespace::unshare(Namespaces::MOUNT)?;
            mount::set_propagation(c"/", propagation::PRIVATE, true)?;
            mounting()
        };
        let thread = std::thread::Builder::new().spawn_scoped(scope, mounting)?;
        let died = |_| io::Error::from_raw_os_error(libc::EIO);
        thread.join().map_err(died)?
    })
}

/// Where the thread mounts: any directory will do, nobody else sees its namespace.
const SCRATCH: &str = "/sys";

/// Gives a directory by something to name it by in at most 255 bytes; what is opened for that is kept in `opened`.
fn add(config: &Configuring, key: &str, path: &Path, opened: &mut Vec<OwnedFd>) -> io::Result<()> {
    if path.as_os_str().len() <= LONGEST {
        return config.set(key, path);
    }
    let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    config.set(key, fd_path(fd.as_fd()))?;
    opened.push(fd);
    Ok(())
}

fn fd_path(fd: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// The ways of older kernels and file systems, for tests on newer ones.
#[cfg(test)]
pub(super) mod old_ways {
    use super::{AsFd as _, IdMaps, Overlay, OwnedFd, Stack, copy_layers, io};

    pub(in crate::init) fn by_string(
        overlay: &Overlay,
        mapped: Option<&OwnedFd>,
    ) -> io::Result<OwnedFd> {
        let mapped = mapped.map(|namespace| namespace.as_fd());
        Stack::new(&overlay.lowers, Some(overlay)).by_string(mapped)
    }

    pub(in crate::init) fn by_copies(overlay: &Overlay, maps: &IdMaps) -> io::Result<OwnedFd> {
        let copies = copy_layers(overlay, maps)?;
        Stack::new(&copies, Some(overlay)).mount(None)
    }
}
