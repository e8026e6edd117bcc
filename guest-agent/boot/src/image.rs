//! The image's disk: known by its serial, a read-only EROFS.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use proa_kernel::disk;
use proa_kernel::mount::{Configuring, attribute};

/// What the host gives that disk as its serial.
const SERIAL: &str = "proa-image";
/// A device is there as soon as its driver is, but some hosts are slow to plug it in.
const ATTEMPTS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("no disk has the serial {SERIAL}: the host attached no image (disks here: {0})")]
    NoDisk(String),
    #[error("mount the image on {}", .0.display())]
    Mount(PathBuf, #[source] io::Error),
}

/// Mounts the image, detached.
pub(crate) fn mount() -> Result<std::os::fd::OwnedFd, ImageError> {
    let device = find()?;
    let mounted = Configuring::new("erofs").and_then(|erofs| {
        erofs.set("source", &*device)?;
        erofs.set_flag("ro")?;
        erofs.mount(attribute::RDONLY)
    });
    mounted.map_err(|e| ImageError::Mount(device, e))
}

fn find() -> Result<PathBuf, ImageError> {
    for _ in 0..ATTEMPTS {
        if let Some(disk) = disk::all().into_iter().find(|disk| disk.serial == SERIAL) {
            return Ok(disk.device);
        }
        std::thread::sleep(PAUSE);
    }
    let seen: Vec<String> = disk::all()
        .into_iter()
        .map(|disk| format!("{} {:?}", disk.device.display(), disk.serial))
        .collect();
    Err(ImageError::NoDisk(seen.join(", ")))
}
