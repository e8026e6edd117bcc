//! Where images and containers are to live: room, and overlays.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use proa_kernel::mount;

use super::Finding;

/// Less than this is hardly worth starting with.
const LITTLE: u64 = 2 << 30;

/// The file system of `root`.
pub(super) fn examine(root: &Path) -> Vec<Finding> {
    let folder = existing(root);
    vec![room(root, folder), inodes(folder), overlay(root, folder)]
}

/// The nearest folder that exists: what is missing beneath it will be made on the same file system.
fn existing(root: &Path) -> &Path {
    root.ancestors()
        .find(|folder| folder.is_dir())
        .unwrap_or(Path::new("/"))
}

fn room(root: &Path, folder: &Path) -> Finding {
    let name = "disk space";
    let found = match rustix::fs::statvfs(folder) {
        Ok(found) => found,
        Err(error) => {
            return Finding::missing(name, error.to_string(), "choose another folder with --root");
        }
    };
    let free = found.f_bavail * found.f_frsize;
    let words = format!("{:.1} GB free for {}", free as f64 / 1e9, root.display());
    if found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Finding::missing(
            name,
            format!("{} is read-only", folder.display()),
            "choose another folder with --root",
        );
    }
    if free < LITTLE {
        return Finding::less(
            name,
            words,
            "make room, or choose another folder with --root",
        );
    }
    Finding::good(name, words)
}

fn inodes(folder: &Path) -> Finding {
    match rustix::fs::statvfs(folder) {
        Ok(found) if found.f_files > 0 && found.f_favail < 100_000 => Finding::less(
            "inodes",
            format!("{} left", found.f_favail),
            "delete small files, or choose another folder with --root",
        ),
        Ok(_) | Err(_) => Finding::good("inodes", "enough"),
    }
}

/// Makes an overlay there and lets it go again; nothing sees it.
fn overlay(root: &Path, folder: &Path) -> Finding {
    match try_overlay(folder) {
        Ok(()) => Finding::good("overlay", format!("works in {}", root.display())),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
            Finding::missing(
                "overlay",
                "the kernel has no overlay file system",
                "modprobe overlay; in a container that has to be done on the host",
            )
        }
        Err(error) => Finding::missing(
            "overlay",
            format!("does not work in {}: {error}", folder.display()),
            "choose a --root on ext4, xfs (with ftype=1), btrfs or tmpfs: an overlay cannot be made on an overlay or NFS",
        ),
    }
}

/// A folder that is taken away when it is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // A left-over here is empty and says what it is by its name.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn try_overlay(folder: &Path) -> io::Result<()> {
    let scratch = Scratch(folder.join(format!(".proa-doctor-{}", std::process::id())));
    for name in ["lower", "upper", "work"] {
        fs::create_dir_all(scratch.0.join(name))?;
    }
    let path = |name: &str| scratch.0.join(name);
    let context = mount::Configuring::new("overlay")?;
    context.set("lowerdir", path("lower"))?;
    context.set("upperdir", path("upper"))?;
    context.set("workdir", path("work"))?;
    // Without this, letting go would wait for everything else that is written to the same disk.
    context.set_flag("volatile")?;
    context.mount(0).map(drop)
}
