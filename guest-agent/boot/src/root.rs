//! The root that everything lives in: a tmpfs, with the image at `/proa`, so that folders the host shares can be mounted
//! wherever they are there.

use std::fs;
use std::io;
use std::path::Path;

use proa_kernel::modules::Modules;
use proa_kernel::mount::{self, Configuring};
use proa_kernel::process::{Strings, execve};

use crate::image::{self, ImageError};

/// Where the modules lie that the image cannot be mounted without.
const FIRST_MODULES: &str = "/modules";
const ROOT: &str = "/root";
/// Kept at its place under the new root.
const MOVED: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Why the machine does not come up.
#[derive(Debug, thiserror::Error)]
enum BootError {
    #[error("{0}")]
    System(&'static str, #[source] io::Error),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("start /proa/bin/proa-agent: is it in the image?")]
    Agent(#[source] io::Error),
}

/// From the kernel's hand to the agent's. Returns only to say what went wrong.
pub(crate) fn begin() -> Result<(), Box<dyn std::error::Error>> {
    first_mounts().map_err(|e| BootError::System("mount /dev, /proc and /sys", e))?;
    let modules = Modules::open(Path::new(FIRST_MODULES));
    let modules = modules.map_err(|e| BootError::System("read the first modules", e))?;
    modules.load("erofs")?;
    for failed in modules.load_drivers() {
        crate::say(&crate::told(&failed));
    }
    let image = image::mount()?;
    make_root(&image).map_err(|e| BootError::System("make the root", e))?;
    switch().map_err(|e| BootError::System("change to the root", e))?;
    Err(BootError::Agent(start_agent()).into())
}

fn first_mounts() -> io::Result<()> {
    for (fstype, at) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        fs::create_dir_all(at)?;
        mount::place_at(Configuring::new(fstype)?.mount(0)?, at)?;
    }
    Ok(())
}

/// Folders of the image's `root` appear at the top: a program that is not static finds its libraries there.
fn make_root(image: &impl std::os::fd::AsFd) -> io::Result<()> {
    let root = Configuring::new("tmpfs")?;
    root.set("mode", "0755")?;
    fs::create_dir_all(ROOT)?;
    mount::place_at(root.mount(0)?, ROOT)?;
    for folder in MOVED.into_iter().chain(["/proa"]) {
        fs::create_dir(format!("{ROOT}{folder}"))?;
    }
    mount::place_at(image, format!("{ROOT}/proa"))?;
    for entry in fs::read_dir(format!("{ROOT}/proa/root"))
        .into_iter()
        .flatten()
    {
        let name = entry?.file_name();
        let name = Path::new(&name);
        std::os::unix::fs::symlink(
            Path::new("/proa/root").join(name),
            Path::new(ROOT).join(name),
        )?;
    }
    Ok(())
}

/// As `switch_root(8)`: the initramfs cannot be unmounted, so the new root is moved over it and what it held is deleted.
fn switch() -> io::Result<()> {
    for folder in MOVED {
        rustix::mount::mount_move(folder, format!("{ROOT}{folder}"))?;
    }
    rustix::process::chdir(ROOT)?;
    for left in ["/init", "/modules"] {
        // Only its memory would be missed.
        let _ = fs::remove_dir_all(left).or_else(|_| fs::remove_file(left));
    }
    rustix::mount::mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    Ok(rustix::process::chdir("/")?)
}

fn start_agent() -> io::Error {
    let words = ["proa-agent", "init"];
    match (
        Strings::new(words),
        Strings::new(["HOME=/", "PATH=/proa/bin"]),
    ) {
        (Ok(words), Ok(environment)) => execve(c"/proa/bin/proa-agent", &words, &environment),
        (Err(error), _) | (_, Err(error)) => error,
    }
}
